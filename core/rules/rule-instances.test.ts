import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CASE_START_US, type CaseEvent } from './edge-cases.js';
import { reference } from './reference.fixture.js';
import { parseRules, type Rule } from './rule.js';
import { runEdgeCase, storyOf } from './run-edge-case.js';

const SECOND_US = 1e6;

function ruleOf(text: string): Rule {
  const select = /^(all|any):/.test(text) ? '' : 'select: {name: x}, ';
  return parseRules(`rules: [{name: r, ${select}${text}}]`, 'rules.yaml')[0]!;
}

/** Over one series: what a reference that looks at all readings at once can tell too. */
const comparable = [
  'above: 10',
  'below: 8, clear: 9, for: 3s, gap: 4s',
  'above: 10, for: 4s, keep_firing_for: 3s, gap: 4s',
  'outside: [8, 11], clear: [9, 10], for: 5s, keep_firing_for: 4s, gap: 5s',
  'equals: 9, for: 2s, gap: 4s',
  'rate: {over: 4s}, above: 0.5, gap: 6s',
  'rate: {over: 2s, per: 1m}, outside: [-20, 20], clear: [0, 10], for: 2s, gap: 5s',
  'delta: {over: 5s}, below: -2, keep_firing_for: 2s, gap: 4s',
  'window: {function: avg, over: 10s, every: 2s}, above: 9.5, gap: 4s',
  'window: {function: min, over: 6s, every: 3s}, above: 8, for: 6s, gap: 4s',
  'window: {function: max, over: 6s, every: 1s}, below: 11, clear: 12, keep_firing_for: 2s, gap: 4s',
  'window: {function: count, over: 10s, every: 5s}, below: 3, for: 10s, gap: 4s',
  'window: {function: sum, over: 10s, every: 2s}, above: 40, keep_firing_for: 4s, gap: 4s',
  'window: {function: stddev, over: 8s, every: 2s}, above: 2, gap: 20s',
  'window: {function: quantile, quantile: 0.5, over: 8s, every: 2s}, above: 9, clear: 8, gap: 6s',
  'absent: 6s',
  'absent: 5s, keep_firing_for: 3s, gap: 2s',
];

const others = [
  'deviation: {sensitivity: 1.5, memory: 1m, warm_up: 1m}, for: 2s, gap: 8s',
  'deviation: {sensitivity: 1, memory: 1m, season: 1m, warm_up: 1m, relearn_after: 1m, direction: below}, gap: 1m',
];

const overDevices = [
  'all: [{select: {name: x}, above: 9}, {select: {name: y}, below: 10}], gap: 5s',
  'any: [{select: {name: x}, above: 11}, {select: {name: "y*"}, above: 12, clear: 9}], for: 3s, keep_firing_for: 2s, gap: 5s',
  'all: [{select: {name: x}, window: {function: avg, over: 4s, every: 2s}, above: 8}, {select: {name: "*"}, above: 10}], gap: 4s',
  'any: [{select: {name: x}, absent: 5s}, {select: {name: y}, rate: {over: 3s}, above: 1}], gap: 6s',
  'all: [{select: {name: x}, absent: 4s}, {select: {name: y}, window: {function: count, over: 4s, every: 2s}, below: 2}], gap: 6s',
];

/** Readings of one or several series, some of one instant, that often stay as they were, with gaps and holes. */
function eventsOf(series: readonly string[]): fc.Arbitrary<CaseEvent[]> {
  const value = fc.oneof(
    { weight: 14, arbitrary: fc.constant(undefined) },
    { weight: 9, arbitrary: fc.integer({ min: 6, max: 13 }) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  );
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: 4, max: 40 }) },
  );
  const speaks = series.length === 1 ? fc.constant(true) : fc.boolean();
  const one = fc.record({ value, speaks });
  const instant = fc.record({ step, values: fc.tuple(...series.map(() => one)), hole: fc.nat(30) });
  return fc.array(instant, { minLength: 20, maxLength: 80, size: 'max' }).map((instants) => {
    const events: CaseEvent[] = [];
    const last = series.map(() => 10);
    let timeUs = CASE_START_US;
    for (const { step: seconds, values, hole } of instants) {
      timeUs += seconds * SECOND_US;
      const readings = values.flatMap((next, index): CaseEvent[] => {
        if (!next.speaks) return [];
        const reading = next.value ?? last[index]!;
        if (!Number.isNaN(reading)) last[index] = reading;
        return [{ kind: 'reading', series: series[index]!, timeUs, value: reading }];
      });
      if (readings.length > 0 && hole <= 1 && events.length > 0) {
        // Up to the newest reading before them all were there, whatever series it is of.
        events.push({ kind: 'until', timeUs: timeUs - seconds * SECOND_US }, { kind: 'hole' });
        if (hole === 1) events.push({ kind: 'resumed', timeUs: timeUs - (seconds - 1) * SECOND_US });
      }
      events.push(...readings);
    }
    events.push({ kind: 'until', timeUs: timeUs + 20 * SECOND_US });
    return events;
  });
}

/** Tells that time passes at more places where that is known: between two readings without a hole. */
function withMoreTime(events: readonly CaseEvent[], places: readonly number[]): CaseEvent[] {
  return events.flatMap((event, index): CaseEvent[] => {
    const next = events[index + 1];
    if ((event.kind !== 'reading' && event.kind !== 'resumed') || next === undefined || next.kind !== 'reading')
      return [event];
    const share = places[index % places.length]!;
    const timeUs = event.timeUs + Math.floor((next.timeUs - event.timeUs) * share);
    return share < 0 || timeUs >= next.timeUs ? [event] : [event, { kind: 'until', timeUs }];
  });
}

function transitionsOf(
  rule: Rule,
  events: readonly CaseEvent[],
  cuts: readonly number[] | 'whole' = 'whole',
  save = false,
) {
  return runEdgeCase(rule, events, { cuts, save }).transitions;
}

const places = fc.array(fc.oneof(fc.constant(-1), fc.double({ min: 0, max: 1, noNaN: true })), {
  minLength: 1,
  maxLength: 9,
});

describe.each([
  ...[...comparable, ...others].map((text) => ({ text, series: ['x'] })),
  ...overDevices.map((text) => ({ text, series: ['x', 'y', 'yy'] })),
])('the rule $text', ({ text, series }) => {
  const rule = ruleOf(text);

  it('comes to the same however readings are cut, states written down and time told', () => {
    fc.assert(
      fc.property(eventsOf(series), fc.array(fc.nat(120)), places, (events, cuts, share) => {
        const whole = transitionsOf(rule, events);
        expect(transitionsOf(rule, events, cuts)).toEqual(whole);
        expect(transitionsOf(rule, events, cuts, true)).toEqual(whole);
        expect(transitionsOf(rule, withMoreTime(events, share), cuts, true)).toEqual(whole);
      }),
      { seed: 20260401, numRuns: 80 },
    );
  });

  it('fires and resolves in turn, each time with the onset that it began with', () => {
    let fired = 0;
    fc.assert(
      fc.property(eventsOf(series), (events) => {
        const transitions = transitionsOf(rule, events);
        for (const [index, one] of transitions.entries()) {
          expect(one.to).toBe(index % 2 === 0 ? 'firing' : 'resolved');
          if (one.to === 'resolved') expect(one.onset).toEqual(transitions[index - 1]!.onset);
          else expect(one.startedAtUs).toBeLessThanOrEqual(one.atUs);
        }
        const onsets = transitions.filter(({ to }) => to === 'firing').map(({ onset }) => JSON.stringify(onset));
        expect(new Set(onsets).size).toBe(onsets.length);
        fired += onsets.length;
      }),
      { seed: 20260402, numRuns: 50 },
    );
    // Inputs that hardly anything comes of would show nothing.
    expect(fired).toBeGreaterThan(10);
  });
});

describe.each(comparable)('the rule %s', (text) => {
  it('comes to what its definition says of all readings at once', () => {
    const rule = ruleOf(text);
    fc.assert(
      fc.property(eventsOf(['x']), (events) => {
        expect(storyOf(transitionsOf(rule, events))).toEqual(reference(rule, events));
      }),
      { seed: 20260403, numRuns: 200 },
    );
  });
});

describe('a rule over a device', () => {
  it.each(overDevices)('does not depend on the order within an instant: %s', (text) => {
    const rule = ruleOf(text);
    fc.assert(
      fc.property(eventsOf(['x', 'y', 'yy']), fc.nat(5), (events, order) => {
        const rank = (event: CaseEvent) =>
          event.kind === 'reading' ? ('xyz'.indexOf(event.series[0]!) + event.series.length * order) % 7 : 0;
        const shuffled = events
          .map((event, index) => ({ event, index }))
          .sort((a, b) =>
            a.event.kind === 'reading' && b.event.kind === 'reading' && a.event.timeUs === b.event.timeUs
              ? rank(a.event) - rank(b.event)
              : a.index - b.index,
          )
          .map(({ event }) => event);
        expect(storyOf(transitionsOf(rule, shuffled))).toEqual(storyOf(transitionsOf(rule, events)));
      }),
      { seed: 20260404, numRuns: 100 },
    );
  });
});
