import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRule } from './compiled-rule.js';
import type { ForwardReadings } from './forward.js';
import { parseRules } from './rule.js';
import type { Transition } from './rule-instance.js';

const SECOND_US = 1e6;

function rule(fields: string) {
  return parseRules(`rules: [{name: r, select: {name: "*"}, ${fields}}]`, 'rules.yaml')[0]!;
}

function readings(rows: readonly (readonly [second: number, value: number])[]): ForwardReadings {
  return {
    from: 0,
    count: rows.length,
    timesUs: Float64Array.from(rows, ([second]) => second * SECOND_US),
    values: Float64Array.from(rows, ([, value]) => value),
    rows: null,
    strings: null,
  };
}

const series = { tenant: '', device: 'd', name: 'n', unit: '', labels: {} };

function run(fields: string, batches: readonly (readonly (readonly [number, number])[])[], save = false): Transition[] {
  const compiled = compileRule(rule(fields));
  let instance = compiled.newInstance(series);
  const out: Transition[] = [];
  let row = 0;
  for (const batch of batches) {
    const before = out.length;
    // Rows count on over the batches, so that the same reading has the same onset wherever the cut is.
    const view = { ...readings(batch), rows: Int32Array.from(batch, () => row++) };
    instance.advance(view, { epoch: 'e', sequence: 1 }, out);
    if (save) instance = compiled.restore(JSON.parse(JSON.stringify(instance.save())), series)!;
    expect(out.length).toBeGreaterThanOrEqual(before);
  }
  return out;
}

/** What happened, as `firing@second` with the onset's second where it differs. */
function story(transitions: readonly Transition[]): string[] {
  return transitions.map(({ to, atUs, startedAtUs }) => {
    const at = `${to}@${atUs / SECOND_US}`;
    return to === 'firing' && startedAtUs !== atUs ? `${at} since ${startedAtUs / SECOND_US}` : at;
  });
}

const table: { about: string; rule: string; values: [number, number][]; expected: string[] }[] = [
  {
    about: 'above is strict',
    rule: 'above: 10',
    values: [
      [0, 10],
      [1, 10.1],
    ],
    expected: ['firing@1'],
  },
  {
    about: 'below is strict',
    rule: 'below: 10',
    values: [
      [0, 10],
      [1, 9.9],
    ],
    expected: ['firing@1'],
  },
  {
    about: 'without clear the threshold itself clears',
    rule: 'above: 10',
    values: [
      [0, 11],
      [1, 10],
    ],
    expected: ['firing@0', 'resolved@1'],
  },
  {
    about: 'within the band nothing changes',
    rule: 'above: 10, clear: 8',
    values: [
      [0, 9],
      [1, 11],
      [2, 9],
      [3, 8.1],
      [4, 8],
    ],
    expected: ['firing@1', 'resolved@4'],
  },
  {
    about: 'below with a band',
    rule: 'below: 0, clear: 2',
    values: [
      [0, -1],
      [1, 1],
      [2, 1.9],
      [3, 2],
    ],
    expected: ['firing@0', 'resolved@3'],
  },
  {
    about: 'each crossing is an incident',
    rule: 'above: 10',
    values: [
      [0, 11],
      [1, 9],
      [2, 11],
      [3, 9],
    ],
    expected: ['firing@0', 'resolved@1', 'firing@2', 'resolved@3'],
  },
  {
    about: 'for counts event time from the first reading',
    rule: 'above: 10, for: 5s',
    values: [
      [0, 11],
      [4, 11],
      [5, 11],
    ],
    expected: ['firing@5 since 0'],
  },
  {
    about: 'for begins anew after any reading that does not satisfy',
    rule: 'above: 10, for: 5s',
    values: [
      [0, 11],
      [3, 10],
      [4, 11],
      [8, 11],
      [9, 11],
    ],
    expected: ['firing@9 since 4'],
  },
  {
    about: 'a gap neither satisfies nor resets for',
    rule: 'above: 10, for: 5s',
    values: [
      [0, 11],
      [3, 11],
      [500, 11],
      [501, 11],
      [502, 11],
    ],
    expected: ['firing@502 since 0'],
  },
  {
    about: 'the band does not keep a pending rule',
    rule: 'above: 10, clear: 8, for: 5s',
    values: [
      [0, 11],
      [3, 9],
      [5, 11],
    ],
    expected: [],
  },
  { about: 'NaN does not satisfy', rule: 'above: 10', values: [[0, Number.NaN]], expected: [] },
  {
    about: 'NaN does not clear',
    rule: 'above: 10',
    values: [
      [0, 11],
      [1, Number.NaN],
      [2, 11],
    ],
    expected: ['firing@0'],
  },
  {
    about: 'NaN neither fires nor ends a pending rule',
    rule: 'above: 10, for: 5s',
    values: [
      [0, 11],
      [5, Number.NaN],
      [6, 11],
    ],
    expected: ['firing@6 since 0'],
  },
  {
    about: 'infinities are values',
    rule: 'above: 10',
    values: [
      [0, Infinity],
      [1, -Infinity],
    ],
    expected: ['firing@0', 'resolved@1'],
  },
  {
    about: 'keep_firing_for holds the alert',
    rule: 'above: 10, keep_firing_for: 5s',
    values: [
      [0, 11],
      [1, 9],
      [5, 9],
      [6, 9],
    ],
    expected: ['firing@0', 'resolved@6'],
  },
  {
    about: 'keep_firing_for begins anew when the condition holds again',
    rule: 'above: 10, keep_firing_for: 5s',
    values: [
      [0, 11],
      [1, 9],
      [4, 11],
      [6, 9],
      [10, 9],
      [11, 9],
    ],
    expected: ['firing@0', 'resolved@11'],
  },
  {
    about: 'NaN does not end keep_firing_for',
    rule: 'above: 10, keep_firing_for: 5s',
    values: [
      [0, 11],
      [1, 9],
      [7, Number.NaN],
      [8, 9],
    ],
    expected: ['firing@0', 'resolved@8'],
  },
  {
    about: 'outside is beyond either end, and clears within its own band',
    rule: 'outside: [0, 10], clear: [2, 8]',
    values: [
      [0, 0],
      [1, 11],
      [2, 9],
      [3, 8],
      [4, -1],
      [5, 1],
      [6, 2],
    ],
    expected: ['firing@1', 'resolved@3', 'firing@4', 'resolved@6'],
  },
  {
    about: 'equals clears by any other value but NaN',
    rule: 'equals: 3',
    values: [
      [0, 2],
      [1, 3],
      [2, Number.NaN],
      [3, 3.1],
    ],
    expected: ['firing@1', 'resolved@3'],
  },
  { about: 'minus zero is not below zero', rule: 'below: 0', values: [[0, -0]], expected: [] },
];

describe('a threshold rule', () => {
  it.each(table)('$about', ({ rule: fields, values, expected }) => {
    expect(story(run(fields, [values]))).toEqual(expected);
  });

  it('sees the same however readings are cut into batches and its state written down between them', () => {
    const value = fc.oneof(fc.integer({ min: 6, max: 13 }), fc.constant(Number.NaN));
    const step = fc.integer({ min: 1, max: 4 });
    const fields = fc.constantFrom(
      'above: 10',
      'above: 10, clear: 8',
      'below: 8, clear: 9, for: 3s',
      'above: 10, for: 4s, keep_firing_for: 3s',
      'outside: [8, 11], clear: [9, 10], for: 5s, keep_firing_for: 4s, gap: 2s',
      'equals: 9, for: 2s',
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, value), { maxLength: 60 }),
        fc.array(fc.nat(60)),
        fields,
        (steps, cuts, text) => {
          let second = 0;
          const rows = steps.map(([by, v]): [number, number] => {
            second += by;
            return [second, v];
          });
          const edges = [0, ...cuts.map((cut) => cut % (rows.length + 1)).sort((a, b) => a - b), rows.length];
          const batches = edges.slice(1).map((end, index) => rows.slice(edges[index], end));
          const whole = run(text, [rows]);
          expect(run(text, batches)).toEqual(whole);
          expect(run(text, batches, true)).toEqual(whole);
        },
      ),
      { seed: 20260401, numRuns: 500 },
    );
  });
});
