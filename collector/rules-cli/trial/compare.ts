import { formatDurationMs } from '@tributary/core/config/duration';
import type { AlertView, TransitionView } from './incident-view.js';
import type { ExpectedAlert, ExpectedTransition } from './trial-schema.js';

/** A line of a comparison: what was expected and is not there, or what is there and was not expected. */
export interface DifferenceLine {
  sign: '-' | '+';
  text: string;
}

type Expected = ExpectedAlert | ExpectedTransition;
type Actual = AlertView | TransitionView;

/** Fields that are compared where an expectation names them, in the order in which they are shown. */
const FIELDS = [
  'to',
  'at',
  'rule',
  'device',
  'series',
  'severity',
  'value',
  'startedAt',
  'recordedAt',
  'late',
  'labels',
  'annotations',
] as const;
type Field = (typeof FIELDS)[number];
type Fields = Partial<Record<Field, unknown>>;

/** These say which alert is meant; the others are shown only where they are compared. */
const ALWAYS_SHOWN: readonly Field[] = ['to', 'at', 'rule', 'device', 'series'];

/** What is shown of an alert that nobody expected. */
const DETAILS: readonly Field[] = ['value', 'startedAt', 'late'];

/** Compares as sets: empty when each expected one is there, and no other. */
export function compare(expected: readonly Expected[], actual: readonly Actual[]): DifferenceLine[] {
  const partner = assign(expected, actual);
  const unmatched = new Set(actual.keys());
  for (const index of partner) if (index !== undefined) unmatched.delete(index);
  const lines: DifferenceLine[] = [];
  for (const [index, one] of expected.entries()) {
    if (partner[index] !== undefined) continue;
    lines.push({ sign: '-', text: describe(one, namedFields(one)) });
    // What is most like it is shown below it, with the fields that it differs in.
    const near = [...unmatched].find((candidate) => isAbout(one, actual[candidate]!));
    if (near === undefined) continue;
    unmatched.delete(near);
    lines.push({ sign: '+', text: describe(actual[near]!, namedFields(one)) });
  }
  for (const index of unmatched) lines.push({ sign: '+', text: describe(actual[index]!, DETAILS) });
  return lines;
}

/** One line of text: the fields that say which alert it is, and those that are asked for. */
export function describe(one: Expected | Actual, shown: readonly Field[]): string {
  return FIELDS.filter((field) => ALWAYS_SHOWN.includes(field) || shown.includes(field))
    .map((field) => word(field, (one as Fields)[field]))
    .filter((text) => text !== '')
    .join('  ');
}

function word(field: Field, value: unknown): string {
  if (value === undefined || (field === 'late' && value === false)) return '';
  if (field === 'at') return `at ${formatDurationMs(value as number)}`;
  if (field === 'startedAt') return `started ${formatDurationMs(value as number)}`;
  if (field === 'recordedAt') return `recorded ${formatDurationMs(value as number)}`;
  if (field === 'late') return 'late';
  if (field === 'to' || field === 'rule' || field === 'device') return String(value);
  if (field === 'series') return value === '' ? '(the device)' : String(value);
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return `${field} ${text}`;
}

/** For each expected one the index of an actual one that is just so, as many pairs as there can be (Kuhn's algorithm). */
function assign(expected: readonly Expected[], actual: readonly Actual[]): (number | undefined)[] {
  const takenBy = new Map<number, number>();
  const tryAll = (index: number, tried: Set<number>): boolean => {
    for (const [candidate, one] of actual.entries()) {
      if (tried.has(candidate) || !isSame(expected[index]!, one)) continue;
      tried.add(candidate);
      const holder = takenBy.get(candidate);
      if (holder === undefined || tryAll(holder, tried)) {
        takenBy.set(candidate, index);
        return true;
      }
    }
    return false;
  };
  for (const index of expected.keys()) tryAll(index, new Set());
  const partner = new Array<number | undefined>(expected.length).fill(undefined);
  for (const [candidate, index] of takenBy) partner[index] = candidate;
  return partner;
}

function namedFields(expected: Expected): Field[] {
  return FIELDS.filter((field) => (expected as Fields)[field] !== undefined);
}

function isSame(expected: Expected, actual: Actual): boolean {
  return namedFields(expected).every((field) => isEqual((expected as Fields)[field], (actual as Fields)[field]));
}

/** Whether it is of the same rule, and of the same device and series where they are named. */
function isAbout(expected: Expected, actual: Actual): boolean {
  const fields: readonly Field[] = ['to', 'rule', 'device', 'series'];
  return fields.every((field) => {
    const value = (expected as Fields)[field];
    return value === undefined || value === (actual as Fields)[field];
  });
}

function isEqual(one: unknown, other: unknown): boolean {
  if (typeof one === 'object' && one !== null && typeof other === 'object' && other !== null) {
    const keys = Object.keys(one);
    const record = other as Record<string, unknown>;
    return (
      keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(record, key) && record[key] === (one as Record<string, unknown>)[key])
    );
  }
  // NaN is itself here, and minus zero is zero.
  return one === other || (Number.isNaN(one) && Number.isNaN(other));
}
