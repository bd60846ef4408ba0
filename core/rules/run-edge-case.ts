import type { ColumnType } from '@tributary/proto/batch/batch';
import { type CompiledRule, compileRule } from './compiled-rule.js';
import { CASE_START_US, type CaseEvent } from './edge-cases.js';
import type { Origin } from './origin.js';
import type { Rule } from './rule.js';
import type { RuleInstance, Transition } from './rule-instance.js';
import type { SeriesIdentity } from './series-identity.js';

/** How a case is run; whatever is chosen, the same must come out. */
export interface RunOptions {
  /** Readings that are handed over at once: those up to the next of these numbers, or up to the next event of another kind. */
  cuts: 'each' | 'whole' | readonly number[];
  /** The state is written down and taken up again after each step. */
  save: boolean;
}

export interface CaseResult {
  transitions: Transition[];
  /** Answers to the events of kind `status`, in order. */
  statuses: string[];
}

type Reading = Extract<CaseEvent, { kind: 'reading' }>;

const origin: Origin = { epoch: '0123456789abcdef0123456789abcdef', sequence: 1 };

/** Runs events over one instance of a rule. A reading's row is its place among all readings, wherever they are cut. */
export function runEdgeCase(rule: Rule, events: readonly CaseEvent[], options: RunOptions): CaseResult {
  const compiled = compileRule(rule);
  const overDevice = compiled.scope === 'device';
  const about = seriesOf(overDevice ? '' : 'x');
  const transitions: Transition[] = [];
  const statuses: string[] = [];
  let instance = compiled.newInstance(about);
  let row = 0;
  for (let index = 0; index < events.length; index += 1) {
    const event = events[index]!;
    if (event.kind === 'reading') {
      const portion: Reading[] = [];
      const first = row;
      for (let at = index; at < events.length; at += 1) {
        const next = events[at]!;
        if (next.kind !== 'reading') break;
        if (portion.length > 0 && (isCut(row, options.cuts) || typeof next.value !== typeof event.value)) break;
        portion.push(next);
        row += 1;
      }
      index += portion.length - 1;
      if (overDevice) advanceMerged(compiled, instance, portion, first, transitions);
      else advance(compiled, instance, portion, first, transitions);
    } else if (event.kind === 'hole') instance.interrupt();
    else if (event.kind === 'resumed') instance.resume(event.timeUs, transitions);
    else if (event.kind === 'until') instance.passTime(event.timeUs, transitions);
    else if (event.kind === 'heard') instance.heard(event.timeUs, transitions);
    else statuses.push(instance.statusAt(event.timeUs));
    if (options.save) instance = compiled.restore(JSON.parse(JSON.stringify(instance.save())), about)!;
  }
  return { transitions, statuses };
}

/** Transitions in words: `firing@5`, `firing@5 since 2`, of a rule over several series `firing@5 by b`. */
export function storyOf(transitions: readonly Transition[]): string[] {
  const seconds = (timeUs: number) => (timeUs - CASE_START_US) / 1e6;
  return transitions.map(({ to, atUs, startedAtUs, series }) => {
    const since = to === 'firing' && startedAtUs !== atUs ? ` since ${seconds(startedAtUs)}` : '';
    const by = series.name === 'x' || series.name === '' ? '' : ` by ${series.name}`;
    return `${to}@${seconds(atUs)}${since}${by}`;
  });
}

function seriesOf(name: string): SeriesIdentity {
  return { tenant: '', device: 'd', name, unit: '', labels: {} };
}

function isCut(row: number, cuts: RunOptions['cuts']): boolean {
  return cuts === 'each' || (cuts !== 'whole' && cuts.includes(row));
}

function typeOf(value: Reading['value']): ColumnType {
  return typeof value === 'boolean' ? 'boolean' : typeof value === 'string' ? 'string' : 'double';
}

function advance(
  compiled: CompiledRule,
  instance: RuleInstance,
  portion: readonly Reading[],
  first: number,
  out: Transition[],
): void {
  const type = typeOf(portion[0]!.value);
  if (!compiled.takes(type)) return;
  const strings = type === 'string' ? [...new Set(portion.map(({ value }) => String(value)))].reverse() : null;
  const readings = {
    from: 0,
    count: portion.length,
    timesUs: Float64Array.from(portion, ({ timeUs }) => timeUs),
    values: Float64Array.from(portion, ({ value }) => strings?.indexOf(String(value)) ?? Number(value)),
    rows: Int32Array.from(portion, (_, index) => first + index),
    strings,
  };
  instance.advance(readings, { ...origin }, out);
}

function advanceMerged(
  compiled: CompiledRule,
  instance: RuleInstance,
  portion: readonly Reading[],
  first: number,
  out: Transition[],
): void {
  const texts = [...new Set(portion.map(({ value }) => String(value)))];
  instance.advanceMerged(
    {
      count: portion.length,
      timesUs: Float64Array.from(portion, ({ timeUs }) => timeUs),
      values: Float64Array.from(portion, ({ value }) =>
        typeof value === 'string' ? texts.indexOf(value) : Number(value),
      ),
      texts,
      member: Int32Array.from(portion, ({ series, value }) =>
        compiled.join(instance, seriesOf(series), {}, typeOf(value)),
      ),
      origins: [{ ...origin }],
      originOf: new Int32Array(portion.length),
      rows: Int32Array.from(portion, (_, index) => first + index),
    },
    out,
  );
}
