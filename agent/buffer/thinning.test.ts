import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch, Column, ColumnType } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { thinBatches } from './thinning.js';

const WINDOW_MS = 60_000;
const SECOND = 1_000_000;

interface Reading {
  id: number;
  timeUs: number;
  value: number | string;
}

function column(seriesId: number, values: readonly (number | string)[], type: ColumnType): Column {
  const strings = [...new Set(values.filter((value) => typeof value === 'string'))];
  const codes = values.map((value) => (typeof value === 'string' ? strings.indexOf(value) : value));
  return { seriesId, type, presence: null, count: values.length, values: Float64Array.from(codes), strings };
}

function batch(baseUs: number, times: readonly number[], columns: Column[]): Batch {
  const group = { rows: times.length, times: Float64Array.from(times, (time) => time - baseUs), columns };
  const readings = columns.reduce((sum, { count }) => sum + count, 0);
  return { segment: 3, unitExponent: 6, baseTime: BigInt(baseUs), groups: [group], readings };
}

function readingsOf({ baseTime, groups }: Batch): Reading[] {
  const all: Reading[] = [];
  for (const { rows, times, columns } of groups) {
    for (const { seriesId, presence, values, strings, type } of columns) {
      let index = 0;
      for (let row = 0; row < rows; row++) {
        if (presence !== null && ((presence[row >>> 3] >>> (row & 7)) & 1) === 0) continue;
        const value = type === 'string' ? strings[values[index]] : values[index];
        all.push({ id: seriesId, timeUs: Number(baseTime) + times[row], value });
        index++;
      }
    }
  }
  return all;
}

/** Thins, encodes and decodes. */
function thinned(batches: Batch[]): { readings: Reading[]; kept: number[] } {
  const result = thinBatches(batches, WINDOW_MS, new DecodeArena())!;
  const readings = readingsOf(decodeBatch(encodeBatch(result.batch), new DecodeArena()));
  expect(readings).toHaveLength(result.batch.readings);
  expect(result.kept.reduce((sum, count) => sum + count, 0)).toBe(readings.length);
  return { readings, kept: result.kept };
}

const valuesOf = (readings: Reading[]) => readings.map(({ timeUs, value }) => [timeUs / SECOND, value]);

describe('thinning', () => {
  it('keeps the first, last, smallest and largest of each minute of the line, across batches', () => {
    const first = batch(
      50 * SECOND,
      [50, 52, 54, 56].map((s) => s * SECOND),
      [column(1, [5, 6, 9, 7], 'double')],
    );
    const second = batch(
      58 * SECOND,
      [58, 60, 62, 64].map((s) => s * SECOND),
      [column(1, [2, 3, 3, 3], 'double')],
    );
    const { readings, kept } = thinned([first, second]);
    expect(valuesOf(readings)).toEqual([
      [50, 5],
      [54, 9],
      [58, 2],
      [60, 3],
      [64, 3],
    ]);
    expect(kept).toEqual([2, 3]);
  });

  it('keeps the first NaN of a window, and takes none for small or large', () => {
    const values = [1, Number.NaN, Number.NaN, 0, 2, 1.5];
    const { readings } = thinned([
      batch(
        0,
        values.map((_, at) => at * SECOND),
        [column(1, values, 'double')],
      ),
    ]);
    expect(valuesOf(readings)).toEqual([
      [0, 1],
      [1, Number.NaN],
      [3, 0],
      [4, 2],
      [5, 1.5],
    ]);
  });

  it('keeps each change of a state, whatever the code of its text in each batch', () => {
    const at = [0, 1, 2, 3].map((s) => s * SECOND);
    const later = [4, 5, 6, 7].map((s) => s * SECOND);
    const { readings } = thinned([
      batch(0, at, [column(2, ['on', 'on', 'off', 'off'], 'string'), column(3, [1, 1, 1, 1], 'boolean')]),
      batch(0, later, [column(2, ['off', 'off', 'fault', 'on'], 'string'), column(3, [1, 0, 0, 0], 'boolean')]),
    ]);
    expect(valuesOf(readings.filter(({ id }) => id === 2))).toEqual([
      [0, 'on'],
      [2, 'off'],
      [6, 'fault'],
      [7, 'on'],
    ]);
    expect(valuesOf(readings.filter(({ id }) => id === 3))).toEqual([
      [0, 1],
      [5, 0],
      [7, 0],
    ]);
  });

  it('shares instants among series, however many there are', () => {
    const times = Array.from({ length: 50 }, (_, at) => at * SECOND);
    const columns = Array.from({ length: 600 }, (_, id) =>
      column(
        id + 1,
        times.map((_, at) => (at * (id + 7)) % 41),
        'double',
      ),
    );
    const { readings } = thinned([batch(0, times, columns)]);
    for (const id of [1, 2, 300, 600]) {
      const values = times.map((_, at) => (at * (id + 6)) % 41);
      const of = readings.filter((reading) => reading.id === id).map(({ value }) => value);
      expect(of.length).toBeLessThanOrEqual(4);
      expect(of).toEqual(expect.arrayContaining([values[0], values[49], Math.min(...values), Math.max(...values)]));
    }
  });

  it('does what a plain reading of its rules says, in any order of time', () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(Number.NaN, -0, Infinity, 1e300));
    const reading = fc.record({ timeUs: fc.integer({ min: -200 * SECOND, max: 200 * SECOND }), value });
    const batches = fc.array(fc.array(reading, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(batches, fc.integer({ min: -1000, max: 1000 }), (lists, base) => {
        const made = lists.map((list, at) =>
          batch(
            base * SECOND + at,
            list.map(({ timeUs }) => timeUs),
            [
              column(
                1,
                list.map((each) => each.value),
                'double',
              ),
            ],
          ),
        );
        expect(thinned(made).readings.map(({ timeUs, value: each }) => [timeUs, each])).toEqual(naive(lists.flat()));
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});

/** M4 as its definition says it. */
function naive(readings: { timeUs: number; value: number }[]): [number, number][] {
  const inOrder = readings
    .map((reading, at) => ({ ...reading, at }))
    .sort((a, b) => a.timeUs - b.timeUs || a.at - b.at);
  const windows = new Map<number, typeof inOrder>();
  for (const reading of inOrder) {
    const window = Math.floor(reading.timeUs / (WINDOW_MS * 1000));
    windows.set(window, [...(windows.get(window) ?? []), reading]);
  }
  const kept: [number, number][] = [];
  for (const window of windows.values()) {
    const numbers = window.filter((each) => !Number.isNaN(each.value)).map((each) => each.value);
    const stays = new Set([
      window[0],
      window.at(-1),
      window.find((each) => Number.isNaN(each.value)),
      // Of equals the first; 0 and -0 are equal.
      window.find((each) => each.value === Math.min(...numbers)),
      window.find((each) => each.value === Math.max(...numbers)),
    ]);
    for (const each of window) if (stays.has(each)) kept.push([each.timeUs, each.value]);
  }
  return kept;
}
