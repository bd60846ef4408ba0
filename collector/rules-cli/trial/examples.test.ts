import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { expect, it } from 'vitest';
import { runTests } from './test-command.js';
import { trialFileSchema } from './trial-schema.js';

const root = new URL('../../../../', import.meta.url);

it.each([
  ['the example in the documents', 'docs/examples/rules.test.yaml', 4],
  ['each kind of rule, and what links and losses do to it', 'collector/rules-cli/trial/cases/rules.test.yaml', 12],
])('%s passes', async (_, path, tests) => {
  let out = '';
  const passes = await runTests([fileURLToPath(new URL(path, root))], {}, (text) => {
    out += text;
  });
  expect(out).toMatch(new RegExp(`(^ok .*\\n)*${tests} passed, 0 failed\\n$`, 'm'));
  expect(passes).toBe(true);
});

it('the JSON Schema for editors is that of the program', async () => {
  const file = new URL('collector/rules-cli/trial/rules-test.schema.json', root);
  const schema = await generateJsonSchema(trialFileSchema, 'Tests of rules for tributary-collector rules test');
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(schema)));
  expect(schema).toMatchObject({ required: ['rules', 'tests'], additionalProperties: false });
});
