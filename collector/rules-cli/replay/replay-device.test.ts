import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';
import { describe, expect, it } from 'vitest';
import type { Stretch } from './event-order.js';
import { ReplayedDevice, type ReplayedIncident } from './replay-device.js';

const identity = { tenant: '', device: 'kiln', name: 'temperature', unit: 'Cel', labels: {} };
const SECOND_US = 1e6;

function stretch(
  rows: readonly (readonly [second: number, value: number])[],
  options: { breaks?: number[]; sequenceOf?: (row: number) => number } = {},
): Stretch {
  const { breaks = [], sequenceOf = () => 1 } = options;
  const sequences = rows.map((_, row) => sequenceOf(row));
  const distinct = [...new Set(sequences)];
  return {
    series: new Map([
      [
        1,
        {
          count: rows.length,
          timesUs: Float64Array.from(rows, ([second]) => second * SECOND_US),
          values: Float64Array.from(rows, ([, value]) => value),
          rows: Int32Array.from(rows, (_, row) => row),
          sourceOf: Int32Array.from(sequences, (sequence) => distinct.indexOf(sequence)),
          sources: distinct.map((sequence) => ({ origin: { epoch: '00', sequence }, strings: null })),
        },
      ],
    ]),
    // Everything before the reading after which something is missing is there.
    breaks: breaks.map((second) => ({ atUs: second * SECOND_US, leftUs: leftOf(rows, second) * SECOND_US })),
    untilUs: Number.POSITIVE_INFINITY,
  };
}

/** The newest second before another one that has a reading. */
function leftOf(rows: readonly (readonly [second: number, value: number])[], before: number): number {
  return Math.max(...rows.map(([second]) => second).filter((second) => second < before));
}

function replay(fields: string, stretches: readonly Stretch[]): ReplayedIncident[] {
  const rule = compileRule(parseRules(`rules: [{name: r, select: {name: "*"}, ${fields}}]`, 'r.yaml')[0]!);
  const found: ReplayedIncident[] = [];
  const device = new ReplayedDevice([rule], [{ seriesId: 1, identity, type: 'double' }], {}, (incident) => {
    found.push(incident);
  });
  for (const one of stretches) device.take(one);
  device.end(1e9);
  return found;
}

function story(incidents: readonly ReplayedIncident[]): string[] {
  const seconds = (us: number | undefined) => (us === undefined ? '' : us / SECOND_US);
  return incidents.map(({ startedUs, firedUs, endedUs, value }) => {
    return `${seconds(startedUs)}-${seconds(firedUs)}-${seconds(endedUs)} ${value}`;
  });
}

describe('a device that is replayed', () => {
  it('has an incident for each time that a rule fired, and tells those that have not ended', () => {
    const rows = [
      [0, 1],
      [1, 11],
      [2, 12],
      [3, 1],
      [4, 13],
    ] as const;
    expect(story(replay('above: 10', [stretch(rows)]))).toEqual(['1-1-3 11', '4-4- 13']);
    expect(story(replay('above: 10, for: 1s', [stretch(rows)]))).toEqual(['1-2-3 12']);
  });

  it('finds the same whatever the stretches and the batches are', () => {
    const rows = Array.from({ length: 40 }, (_, second): [number, number] => [second, second % 7 === 0 ? 5 : 11]);
    const whole = replay('above: 10, for: 3s', [stretch(rows)]);
    expect(whole.length).toBeGreaterThan(3);
    const cut = [rows.slice(0, 13), rows.slice(13, 14), rows.slice(14)].map((part) => stretch(part));
    expect(story(replay('above: 10, for: 3s', cut))).toEqual(story(whole));
    const batches = [stretch(rows, { sequenceOf: (row) => Math.trunc(row / 3) })];
    expect(story(replay('above: 10, for: 3s', batches))).toEqual(story(whole));
  });

  it('does not count time in which readings are missing', () => {
    const rows = [
      [0, 11],
      [2, 11],
      [4, 11],
      [6, 11],
    ] as const;
    expect(story(replay('above: 10, for: 4s', [stretch(rows)]))).toEqual(['0-4- 11']);
    expect(story(replay('above: 10, for: 4s', [stretch(rows, { breaks: [2] })]))).toEqual(['0-6- 11']);
    expect(story(replay('above: 10, for: 4s', [stretch(rows, { breaks: [2, 6] })]))).toEqual([]);
  });

  it('knows an incident by the reading that began it', () => {
    const one = replay('above: 10', [stretch([[0, 11]])]);
    const same = replay('above: 10', [
      stretch([
        [0, 11],
        [1, 12],
      ]),
    ]);
    const other = replay('above: 10', [stretch([[0, 11]], { sequenceOf: () => 2 })]);
    expect(same[0]!.id).toBe(one[0]!.id);
    expect(other[0]!.id).not.toBe(one[0]!.id);
    expect(one[0]!.id).toMatch(/^[0-9a-f]{32}$/);
  });

  it('says that nothing came, as far as time has passed for the device', () => {
    const rule = compileRule(parseRules('rules: [{name: r, select: {name: "*"}, absent: 10s}]', 'r.yaml')[0]!);
    const run = (rows: readonly (readonly [number, number])[], endSecond: number, breaks: number[] = []) => {
      const found: ReplayedIncident[] = [];
      const device = new ReplayedDevice([rule], [{ seriesId: 1, identity, type: 'double' }], {}, (incident) => {
        found.push(incident);
      });
      device.take(stretch(rows, { breaks }));
      device.end(endSecond * SECOND_US);
      return story(found);
    };
    expect(
      run(
        [
          [0, 1],
          [30, 2],
        ],
        30,
      ),
    ).toEqual(['0-10-30 1']);
    expect(run([[0, 1]], 9)).toEqual([]);
    expect(run([[0, 1]], 500)).toEqual(['0-10- 1']);
    // What is missing may have been it.
    expect(
      run(
        [
          [0, 1],
          [30, 2],
        ],
        30,
        [30],
      ),
    ).toEqual([]);
  });

  it('judges several series of the device together, numbers and texts', () => {
    const text = 'rules: [{name: r, all: [{select: {name: pump}, equals: on}, {select: {name: flow}, below: 2}]}]';
    const rule = compileRule(parseRules(text, 'r.yaml')[0]!);
    const found: ReplayedIncident[] = [];
    const device = new ReplayedDevice(
      [rule],
      [
        { seriesId: 1, identity: { ...identity, name: 'flow' }, type: 'double' },
        { seriesId: 2, identity: { ...identity, name: 'pump' }, type: 'string' },
        { seriesId: 3, identity: { ...identity, name: 'other' }, type: 'double' },
      ],
      {},
      (incident) => {
        found.push(incident);
      },
    );
    expect(device.seriesIds).toEqual(new Set([1, 2]));
    const flow = stretch([
      [0, 1],
      [2, 1],
      [4, 3],
      [6, 1],
    ]);
    // Two batches of one series of texts, each with a dictionary of its own.
    const pump = stretch(
      [
        [1, 0],
        [3, 0],
        [7, 1],
      ],
      { sequenceOf: (row) => (row < 2 ? 5 : 6) },
    ).series.get(1)!;
    const sources = [
      { ...pump.sources[0]!, strings: ['on'] },
      { ...pump.sources[1]!, strings: ['on', 'off'] },
    ];
    device.take({ ...flow, series: new Map([...flow.series, [2, { ...pump, sources }]]) });
    device.end(7 * SECOND_US);
    expect(found.map(({ series }) => series.name)).toEqual(['pump', 'flow']);
    expect(story(found)).toEqual([expect.stringMatching(/^1-1-4 /), expect.stringMatching(/^6-6-7 /)]);
  });
});
