import type * as v from 'valibot';
import { nearest } from './nearest.js';
import { type ConfigProblem, fieldName } from './problem.js';
import { type AnySchema, descriptionOf, fieldsOf, schemaAt } from './schema-at.js';
import type { YamlDocument } from './yaml-document.js';

/** A value is shown so that its place is recognised; this much of it does. */
const valueCharactersMax = 60;

type Issue = v.BaseIssue<unknown>;

/** Valibot's issues as problems with a place, a reason and a remedy. */
export function explainIssues(issues: readonly Issue[], schema: AnySchema, document: YamlDocument): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const lists = new Set<string>();
  for (const issue of issues.flatMap(insideUnion)) {
    const path = (issue.path ?? []).map((item) => item.key as PropertyKey);
    const parent = path.slice(0, -1);
    const place = { ...document.locate(path, 'value'), field: fieldName(path) };
    const value = valueAt(document.value, path);
    if (issue.type === 'strict_object' && Array.isArray(valueAt(document.value, parent)) && path.length > 0) {
      // To valibot a list is an object without the right keys: one problem, not one for each of them.
      const field = fieldName(parent);
      if (lists.has(field)) continue;
      lists.add(field);
      const message = wrongKind(valueAt(document.value, parent), 'Object');
      problems.push({ ...document.locate(parent, 'value'), field, message });
    } else if (issue.type === 'strict_object' && issue.expected === 'never') {
      problems.push(...unknownKeys(parent, schema, document));
    } else if (issue.path?.at(-1)?.origin === 'key' && value !== undefined) {
      // The key of a group with free names: it is there, and it is the key that is wrong.
      problems.push({ ...place, ...document.locate(path, 'key'), message: wrongValue(issue, undefined, path.at(-1)) });
    } else if (issue.path?.at(-1)?.origin === 'key' || (issue.type === 'variant' && value === undefined)) {
      problems.push({ ...place, message: missingKey(issue, schemaAt(schema, path, document.value)) });
    } else {
      problems.push({ ...place, message: wrongValue(issue, schemaAt(schema, path, document.value), value) });
    }
  }
  return problems;
}

/** Of a field that may be a value or a group: what is wrong inside the group, where one was written. */
function insideUnion(issue: Issue): Issue[] {
  if (issue.type !== 'union' || issue.issues === undefined) return [issue];
  const inner = issue.issues.filter(({ path }) => path !== undefined);
  const [first, ...rest] = issue.path ?? [];
  if (inner.length === 0 || first === undefined) return [issue];
  return inner.map((one): Issue => ({ ...one, path: [first, ...rest, ...(one.path ?? [])] }));
}

/** Valibot stops at the first unknown key of an object; a person wants to see them all. */
function unknownKeys(parent: PropertyKey[], schema: AnySchema, document: YamlDocument): ConfigProblem[] {
  const object = valueAt(document.value, parent) as Record<string, unknown>;
  const parentSchema = schemaAt(schema, parent, document.value);
  const known = parentSchema === undefined ? [] : Object.keys(fieldsOf(parentSchema, object));
  return Object.keys(object)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const near = nearest(key, known);
      const remedy = near === undefined ? `known keys are ${known.join(', ')}` : `did you mean ${near}?`;
      const path = [...parent, key];
      return { ...document.locate(path, 'key'), field: fieldName(path), message: `unknown key; ${remedy}` };
    });
}

function missingKey(issue: Issue, missing: AnySchema | undefined): string {
  // A variant misses its discriminator and lists what it may be.
  if (issue.type === 'variant') return `missing; it is one of ${listed(issue.expected)}`;
  const description = descriptionOf(missing);
  return description === undefined ? 'missing; this key must be there' : `missing; it says: ${description}`;
}

function wrongValue(issue: Issue, schema: AnySchema | undefined, value: unknown): string {
  const custom = !issue.message.startsWith('Invalid ');
  if (issue.kind === 'schema' && !custom && !isChoice(issue)) return about(wrongKind(value, issue.expected), schema);
  const { what, remedy } = custom ? inOwnWords(issue.message) : inValibotsWords(issue, value);
  // A default that another field contradicts is not in the file.
  const found = value === undefined ? '' : ` (value ${shown(value)})`;
  return about(`${what}${found}${remedy === '' ? '' : `; ${remedy}`}`, schema);
}

function about(message: string, schema: AnySchema | undefined): string {
  const description = descriptionOf(schema);
  return description === undefined ? message : `${message} (${description})`;
}

function wrongKind(value: unknown, expected: string | null): string {
  const wanted = kindWords[expected ?? ''] ?? expected ?? 'another value';
  return `${kindOf(value)} where ${wanted} belongs (value ${shown(value)}); write ${wanted}`;
}

function isChoice(issue: Issue): boolean {
  return ['picklist', 'literal', 'enum', 'variant', 'union'].includes(issue.type);
}

/** A schema's own message is `what is wrong; what would be right`. */
function inOwnWords(message: string): { what: string; remedy: string } {
  const semicolon = message.indexOf('; ');
  if (semicolon < 0) return { what: message, remedy: '' };
  return { what: message.slice(0, semicolon), remedy: message.slice(semicolon + 2) };
}

function inValibotsWords(issue: Issue, value: unknown): { what: string; remedy: string } {
  if (isChoice(issue)) {
    const near = typeof value === 'string' ? nearest(value, choices(issue.expected)) : undefined;
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
    return { what: 'not one of the allowed values', remedy: `it is one of ${listed(issue.expected)}${hint}` };
  }
  const requirement =
    issue.requirement instanceof RegExp ? String(issue.requirement) : (issue.expected ?? 'something else');
  return { what: reasons[issue.type] ?? 'not allowed', remedy: `it must be ${requirement}` };
}

const reasons: Readonly<Record<string, string>> = {
  min_value: 'too small',
  max_value: 'too large',
  gt_value: 'too small',
  lt_value: 'too large',
  integer: 'not a whole number',
  safe_integer: 'not a whole number',
  finite: 'not a finite number',
  regex: 'not of the right form',
  min_length: 'too short',
  max_length: 'too long',
  non_empty: 'empty',
};

const kindWords: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  Object: 'a group of fields',
  Array: 'a list',
};

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'object':
      return 'a group of fields';
    case 'boolean':
      return `the word ${value}`;
    case 'string':
      return 'text';
    case 'number':
      return 'a number';
    default:
      return typeof value;
  }
}

/** Valibot writes choices as `("a" | "b")`. */
function choices(expected: string | null): string[] {
  return (expected ?? '')
    .replace(/^\(|\)$/g, '')
    .split(' | ')
    .map((choice) => choice.replace(/^"|"$/g, ''));
}

function listed(expected: string | null): string {
  return choices(expected).join(', ');
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return value;
}

function shown(value: unknown): string {
  // JSON has no word for infinities and NaN.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > valueCharactersMax ? `${text.slice(0, valueCharactersMax)}...` : text;
}
