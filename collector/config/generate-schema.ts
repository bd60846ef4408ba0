import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { collectorSchema } from './schema.js';

/** Writes `collector.schema.json` beside the configuration's sources, for editors. Run by `npm run generate`. */
const file = fileURLToPath(new URL('../../config/collector.schema.json', import.meta.url));
const schema = await generateJsonSchema(collectorSchema, 'Configuration of tributary-collector');
writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
