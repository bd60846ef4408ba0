import * as v from 'valibot';

export type AnySchema = v.GenericSchema<unknown, unknown>;

/** The inside of a valibot schema as far as it is walked here. Valibot's generic types erase it. */
interface Walkable {
  type: string;
  wrapped?: AnySchema;
  entries?: Readonly<Record<string, AnySchema>>;
  item?: AnySchema;
  value?: AnySchema;
  key?: string;
  options?: readonly AnySchema[];
  literal?: unknown;
}

/**
 * The schema of the field at `path`, following pipes, optionals and, in a variant, the branch that `input` chose.
 * Undefined where the path leaves the schema.
 */
export function schemaAt(schema: AnySchema, path: readonly PropertyKey[], input: unknown): AnySchema | undefined {
  let current: AnySchema | undefined = schema;
  let value = input;
  for (const key of path) {
    if (current === undefined) return undefined;
    const inner: Walkable = bare(current, value);
    if (inner.entries !== undefined) {
      const name = String(key);
      current = Object.hasOwn(inner.entries, name) ? inner.entries[name] : undefined;
    } else {
      current = inner.item ?? inner.value;
    }
    value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  }
  return current;
}

/** The fields that the object at `schema` may have; none when it is no object of fixed keys. */
export function fieldsOf(schema: AnySchema, input?: unknown): Readonly<Record<string, AnySchema>> {
  return bare(schema, input).entries ?? {};
}

/** What the schema says about its field, also when that stands inside an optional. */
export function descriptionOf(schema: AnySchema | undefined): string | undefined {
  if (schema === undefined) return undefined;
  return v.getDescription(schema) ?? descriptionOf((schema as unknown as Walkable).wrapped);
}

/** The schema without the optionals around it, and the chosen branch of a variant or union. A pipe shows what its first part has. */
function bare(schema: AnySchema, input: unknown): Walkable {
  const walkable = schema as unknown as Walkable;
  if (walkable.wrapped !== undefined) return bare(walkable.wrapped, input);
  if (walkable.type === 'union') return groupOf(walkable, input);
  if (walkable.type !== 'variant') return walkable;
  const chosen = branch(walkable, input);
  return chosen === undefined ? walkable : bare(chosen, input);
}

/** Of a union of a value and a group the group, where a group was written. */
function groupOf(union: Walkable, input: unknown): Walkable {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return union;
  const group = union.options?.find((option) => bare(option, input).entries !== undefined);
  return group === undefined ? union : bare(group, input);
}

function branch(variant: Walkable, input: unknown): AnySchema | undefined {
  const key = variant.key as string;
  const wanted = (input as Record<string, unknown> | null | undefined)?.[key];
  return variant.options?.find((option) => {
    const discriminator = bare(option, input).entries?.[key] as unknown as Walkable | undefined;
    return discriminator?.type === 'literal' && discriminator.literal === wanted;
  });
}
