import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { agentSchema } from './schema.js';

/**
 * Writes `agent.schema.json`, which editors use to complete and check an agent's configuration; with `--print` to standard
 * output instead. Run after each change of the schema; the repository's check compares.
 */
const text = `${JSON.stringify(await generateJsonSchema(agentSchema, 'Configuration of tributary-agent'), null, 2)}\n`;

if (process.argv.includes('--print')) process.stdout.write(text);
else writeFileSync(fileURLToPath(new URL('../../config/agent.schema.json', import.meta.url)), text);
