import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { trialFileSchema } from './trial-schema.js';

/** Writes `rules-test.schema.json` beside the sources, for editors. Run by `npm run generate`. */
const file = fileURLToPath(new URL('../../../rules-cli/trial/rules-test.schema.json', import.meta.url));
const schema = await generateJsonSchema(trialFileSchema, 'Tests of rules for tributary-collector rules test');
writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
