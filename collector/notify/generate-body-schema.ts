import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { webhookBodySchema } from './webhook-body.js';

/** Writes `webhook-body.schema.json` beside its source, for those who receive webhooks. Run by `npm run generate`. */
const file = fileURLToPath(new URL('../../notify/webhook-body.schema.json', import.meta.url));
const schema = await generateJsonSchema(webhookBodySchema, 'Body of a webhook of tributary-collector');
writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
