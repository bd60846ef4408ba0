import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '../config/json-schema.js';
import { ruleFileSchema } from './rule.js';

/** Writes `rules.schema.json` beside the sources, for editors. Run by `npm run generate`. */
const file = fileURLToPath(new URL('../../rules/rules.schema.json', import.meta.url));
const schema = await generateJsonSchema(ruleFileSchema, 'Rules of Tributary');
writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
