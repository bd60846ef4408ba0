import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parseDurationMs } from '../config/duration.js';
import { loadConfig } from '../config/load-config.js';
import { parseRules, type Rule } from './rule.js';

/** One thing that happens to a rule, in the order in which it does. Times are microseconds since the Unix epoch. */
export type CaseEvent =
  | { kind: 'reading'; series: string; timeUs: number; value: number | boolean | string }
  /** Readings are missing here: between what came before and what comes after. */
  | { kind: 'hole' }
  /** From this time on none are missing again. */
  | { kind: 'resumed'; timeUs: number }
  /** No reading at or before this time is still to come. */
  | { kind: 'until'; timeUs: number }
  /** The device was heard of. */
  | { kind: 'heard'; timeUs: number }
  /** What the rule's status at this time is, asked here. */
  | { kind: 'status'; timeUs: number; expected: string };

/** One row of the table of edge cases: whoever evaluates rules must come to the same transitions. */
export interface EdgeCase {
  /** The file's name without its ending, and what the case shows. */
  group: string;
  name: string;
  /** The rule's fields as they stand in the file. */
  fields: Readonly<Record<string, unknown>>;
  /** Its name is `case`; unless it says otherwise it selects the series `x`. */
  rule: Rule;
  /** As it stands in the file. */
  input: string;
  events: readonly CaseEvent[];
  /** Transitions as `storyOf` tells them. */
  expected: readonly string[];
}

/** Second 0 of the cases: a midnight, so that grids and seasons begin there, and far from 0, so that nothing is small. */
export const CASE_START_US = 19_675 * 86_400e6;

const fileSchema = v.strictObject({
  cases: v.array(
    v.strictObject({
      name: v.string(),
      rule: v.record(v.string(), v.unknown()),
      input: v.string(),
      expect: v.array(v.string()),
    }),
  ),
});

/** All cases, from the YAML files beside the sources. */
export function edgeCases(): EdgeCase[] {
  // The sources' folder: the compiler does not copy YAML.
  const folder = fileURLToPath(new URL('../../rules/cases/', import.meta.url));
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) =>
      loadConfig(join(folder, file), fileSchema).cases.map((one): EdgeCase => {
        const { name, rule: fields, input, expect: expected } = one;
        const events = parseCaseInput(input);
        return { group: file.slice(0, -'.yaml'.length), name, fields, rule: ruleOf(fields), input, events, expected };
      }),
    );
}

function ruleOf(fields: Readonly<Record<string, unknown>>): Rule {
  const ofDevice =
    'all' in fields || 'any' in fields || (fields.absent as { of?: string } | undefined)?.of === 'device';
  const select = ofDevice ? {} : { select: { name: 'x' } };
  // JSON is YAML.
  return parseRules(JSON.stringify({ rules: [{ name: 'case', ...select, ...fields }] }), 'case.yaml')[0]!;
}

/**
 * The events of an input: words in the order in which they happen.
 *
 *     5=11          a reading of series x at second 5 with value 11; also 90s, 5m, 2h, 1d
 *     b:5=11        the same of series b
 *     5=open        a text; true and false are booleans, NaN, inf and -inf numbers
 *     0..60/10=1,2  a reading at 0, 10, ... 60 with the values 1, 2, 1, 2, ...
 *     hole          readings are missing here
 *     resumed:60    from second 60 on none are missing again
 *     until:60      no reading at or before second 60 is still to come
 *     heard:60      the device was heard of at second 60
 *     status:60=unknown   what the status at second 60 is, asked here
 */
export function parseCaseInput(input: string): CaseEvent[] {
  return input
    .trim()
    .split(/\s+/)
    .flatMap((word) => parseWord(word));
}

const rangeForm = /^(.+)\.\.(.+)\/(.+)$/;

function parseWord(word: string): CaseEvent[] {
  if (word === 'hole') return [{ kind: 'hole' }];
  const [before = '', after] = word.split('=');
  const colon = before.indexOf(':');
  const head = colon < 0 ? 'x' : before.slice(0, colon);
  const when = before.slice(colon + 1);
  if (after === undefined) {
    if (head === 'until' || head === 'heard' || head === 'resumed') return [{ kind: head, timeUs: timeOf(when) }];
    throw new RangeError(
      `${word} is no event; write TIME=VALUE, hole, resumed:TIME, until:TIME, heard:TIME or status:TIME=STATUS`,
    );
  }
  if (head === 'status') return [{ kind: 'status', timeUs: timeOf(when), expected: after }];
  const [, first, last, step] = rangeForm.exec(when) ?? [];
  const values = after.split(',').map(valueFrom);
  if (first === undefined || last === undefined || step === undefined) {
    return [{ kind: 'reading', series: head, timeUs: timeOf(when), value: values[0]! }];
  }
  const events: CaseEvent[] = [];
  const stepUs = timeOf(step) - CASE_START_US;
  for (let timeUs = timeOf(first); timeUs <= timeOf(last); timeUs += stepUs) {
    events.push({ kind: 'reading', series: head, timeUs, value: values[events.length % values.length]! });
  }
  return events;
}

/** `90`, `90s`, `1.5` or `5m` after the start of the cases. */
function timeOf(text: string): number {
  const seconds = Number(text);
  const durationMs = Number.isNaN(seconds) || text === '' ? parseDurationMs(text) : seconds * 1000;
  if (durationMs === undefined) throw new RangeError(`${text} is no time; write seconds, or a unit as in 5m`);
  return CASE_START_US + Math.round(durationMs * 1000);
}

function valueFrom(text: string): number | boolean | string {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'NaN') return Number.NaN;
  if (text === 'inf' || text === '-inf') return text === 'inf' ? Infinity : -Infinity;
  const number = Number(text);
  return Number.isNaN(number) || text === '' ? text : number;
}
