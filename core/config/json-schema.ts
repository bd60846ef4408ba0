import type { JsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { type AnySchema, descriptionOf, fieldsOf } from './schema-at.js';

/**
 * The JSON Schema (draft 7, which editors' YAML modes know) of what a configuration file may hold: input types, with
 * descriptions and defaults. The converter is a tool of development and is loaded only here.
 */
export async function generateJsonSchema(schema: v.GenericSchema, title: string): Promise<Record<string, unknown>> {
  const { toJsonSchema } = await import('@valibot/to-json-schema');
  const body = toJsonSchema(schema, {
    typeMode: 'input',
    // Checks that JSON Schema cannot express are left to the program.
    errorMode: 'ignore',
    overrideSchema: ({ valibotSchema, jsonSchema }) => describeProperties(valibotSchema, jsonSchema),
  });
  return { ...body, title };
}

/** For the converter an input ends at its first transformation, and a description that follows is lost: here it is put back. */
function describeProperties(schema: AnySchema, json: JsonSchema): JsonSchema | undefined {
  const { properties } = json;
  if (properties === undefined) return undefined;
  for (const [key, field] of Object.entries(fieldsOf(schema))) {
    const property = properties[key];
    const description = descriptionOf(field);
    if (description !== undefined && typeof property === 'object') property.description = description;
  }
  return json;
}
