// Regenerates everything that is committed and made from something else: the code of the contract, the configuration
// schemas and the golden vectors. `check.mjs` runs it and fails when a file changes by it.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What is generated, from where, and by which command. */
export const generated = [
  { what: 'contract', outputs: ['proto/gen'], cwd: 'proto', command: ['../node_modules/.bin/buf', 'generate'] },
  {
    what: 'golden vectors',
    outputs: ['proto/vectors'],
    cwd: '.',
    command: [process.execPath, 'proto/dist/batch/vectors.js'],
  },
  {
    what: 'schema of rule files',
    outputs: ['core/rules/rules.schema.json'],
    cwd: '.',
    command: [process.execPath, 'core/dist/rules/generate-schema.js'],
  },
  {
    what: 'table of edge cases of rules',
    outputs: ['docs/ALERTS.md'],
    cwd: '.',
    command: [process.execPath, 'core/dist/rules/generate-case-table.js'],
  },
  {
    what: "schema of the agent's configuration",
    outputs: ['agent/config/agent.schema.json'],
    cwd: '.',
    command: [process.execPath, 'agent/dist/config/generate-schema.js'],
  },
  {
    what: "schema of the collector's configuration",
    outputs: ['collector/config/collector.schema.json'],
    cwd: '.',
    command: [process.execPath, 'collector/dist/config/generate-schema.js'],
  },
  {
    what: "schema of a webhook's body",
    outputs: ['collector/notify/webhook-body.schema.json'],
    cwd: '.',
    command: [process.execPath, 'collector/dist/notify/generate-body-schema.js'],
  },
  {
    what: 'schema of tests of rules',
    outputs: ['collector/rules-cli/trial/rules-test.schema.json'],
    cwd: '.',
    command: [process.execPath, 'collector/dist/rules-cli/trial/generate-schema.js'],
  },
];

export function generateAll() {
  for (const { what, cwd, command } of generated) {
    const result = spawnSync(command[0], command.slice(1), { cwd: join(root, cwd), stdio: ['ignore', 2, 2] });
    if (result.status !== 0) throw new Error(`generating the ${what} failed: ${command.join(' ')}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generateAll();
