import { SeriesReadings } from '@tributary/core/rules/series-readings';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Readings, readingsBatch } from '../rules/test-device.js';
import type { RollupColumns } from '../store/store.js';
import { RollupBuffer } from './rollup-buffer.js';

interface Bucket {
  count: number;
  min: number;
  max: number;
  mean: number;
  m2: number;
  first: number;
  firstUs: number;
  last: number;
  lastUs: number;
}

function naive(all: Readings, stepSeconds: number): Map<number, Bucket> {
  const groups = new Map<number, [number, number][]>();
  for (const [second, value] of all) {
    if (!Number.isFinite(value)) continue;
    const start = Math.floor(second / stepSeconds) * stepSeconds;
    groups.set(start, [...(groups.get(start) ?? []), [second, value]]);
  }
  return new Map(
    [...groups].map(([start, rows]): [number, Bucket] => {
      const values = rows.map(([, value]) => value);
      const mean = values.reduce((sum, value) => sum + value / values.length, 0);
      const byTime = [...rows].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      const lastRow = byTime.at(-1)!;
      return [
        start,
        {
          count: values.length,
          min: Math.min(...values),
          max: Math.max(...values),
          mean,
          m2: values.reduce((sum, value) => sum + (value - mean) ** 2, 0),
          first: byTime[0]![1],
          firstUs: byTime[0]![0] * 1e6,
          last: lastRow[1],
          lastUs: lastRow[0] * 1e6,
        },
      ];
    }),
  );
}

function feed(buffer: RollupBuffer, batches: readonly Readings[], deviceId = 1): void {
  const readings = new SeriesReadings();
  for (const rows of batches) {
    const batch = readingsBatch(rows);
    readings.openBatch(batch, 0);
    readings.openGroup(batch.groups[0]!);
    readings.select(batch.groups[0]!.columns[0]!);
    buffer.add(deviceId, deviceId * 5, readings);
  }
}

function bucketsOf(columns: RollupColumns, stepSeconds: number): Map<number, Bucket> {
  const found = new Map<number, Bucket>();
  for (let row = 0; row < columns.length; row += 1) {
    if (columns.stepSeconds[row] !== stepSeconds) continue;
    expect(found.has(columns.start[row]!)).toBe(false);
    found.set(columns.start[row]!, {
      count: columns.count[row]!,
      min: columns.min[row]!,
      max: columns.max[row]!,
      mean: columns.mean[row]!,
      m2: columns.m2[row]!,
      first: columns.first[row]!,
      firstUs: columns.firstUs[row]!,
      last: columns.last[row]!,
      lastUs: columns.lastUs[row]!,
    });
  }
  return found;
}

function expectSame(actual: Map<number, Bucket>, expected: Map<number, Bucket>): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [start, { mean, m2, ...exact }] of expected) {
    const bucket = actual.get(start)!;
    expect(bucket).toMatchObject(exact);
    const size = Math.max(Math.abs(exact.min), Math.abs(exact.max));
    expect(Math.abs(bucket.mean - mean)).toBeLessThanOrEqual(1e-12 * size + 1e-300);
    expect(Math.abs(bucket.m2 - m2)).toBeLessThanOrEqual(1e-9 * (m2 + size * size * 1e-6) + 1e-300);
  }
}

describe('the rollup buffer', () => {
  it('equals a naive computation, whatever the order, the cuts, and the values', () => {
    const value = fc.oneof(
      fc.double({ min: -1000, max: 1000, noNaN: true }),
      fc.integer({ min: -5, max: 5 }),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    );
    const sorted = fc.array(fc.tuple(fc.integer({ min: 1, max: 90 }), value), { maxLength: 80 }).chain((steps) =>
      fc.integer({ min: -2000, max: 2000 }).map((start) => {
        let second = start;
        return steps.map(([by, v]): [number, number] => {
          second += by;
          return [second, v];
        });
      }),
    );
    const shuffled = fc.array(fc.tuple(fc.integer({ min: -3000, max: 3000 }), value), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(fc.oneof(sorted, shuffled), { maxLength: 5 }), (batches) => {
        const buffer = new RollupBuffer();
        feed(buffer, batches);
        const taken = buffer.take();
        const all = batches.flat();
        expectSame(bucketsOf(taken, 60), naive(all, 60));
        expectSame(bucketsOf(taken, 900), naive(all, 900));
      }),
      { seed: 20260402, numRuns: 400 },
    );
  });

  it('keeps the spread of small changes on a large value', () => {
    const rows = Array.from({ length: 50 }, (_, second): [number, number] => [second, 1e9 + (second % 2) * 1e-3]);
    const buffer = new RollupBuffer();
    feed(buffer, [rows]);
    const taken = buffer.take();
    const change = 1e9 + 1e-3 - 1e9;
    expect(taken.m2[0]).toBeCloseTo((50 * change ** 2) / 4, 12);
  });

  it('survives values whose differences overflow', () => {
    const buffer = new RollupBuffer();
    feed(buffer, [
      [
        [0, 1.7e308],
        [1, -1.7e308],
        [2, 1.7e308],
      ],
      [[3, -1.7e308]],
    ]);
    const taken = buffer.take();
    expect(taken.count[0]).toBe(4);
    expect(Math.abs(taken.mean[0]!)).toBeLessThan(1e294);
    expect(taken.min[0]).toBe(-1.7e308);
  });

  it('begins anew when it was taken', () => {
    const buffer = new RollupBuffer();
    feed(buffer, [[[0, 1]]]);
    expect(buffer.take().length).toBe(2);
    expect(buffer.length).toBe(0);
    feed(buffer, [[[1, 2]]]);
    expect(buffer.take().count[0]).toBe(1);
  });

  it('forgets a series that has ended', () => {
    const buffer = new RollupBuffer();
    feed(buffer, [[[0, 1]]]);
    expect(buffer.series).toBe(1);
    for (let fill = 0; fill < 200; fill += 1) buffer.take();
    expect(buffer.series).toBe(0);
    feed(buffer, [[[0, 2]]]);
    expect(Array.from(buffer.take().mean.subarray(0, 2))).toEqual([2, 2]);
  });
});

describe('one device of a rollup buffer', () => {
  const taken = (columns: RollupColumns) =>
    Array.from({ length: columns.length }, (_, row) => {
      const { deviceId, seriesId, stepSeconds, start, count, min, max, mean, m2, firstUs, lastUs } = columns;
      const all = [deviceId, seriesId, stepSeconds, start, count, min, max, mean, m2, firstUs, lastUs];
      return all.map((column) => column[row]!);
    });
  const batch = fc.array(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: -5, max: 5 })), {
    minLength: 1,
    maxLength: 20,
  });
  const steps = fc.array(fc.oneof(fc.tuple(fc.constantFrom(1, 2, 3), batch), fc.constantFrom('of 1', 'of 2', 'all')), {
    maxLength: 30,
  });

  it('is taken alone, and the others lose nothing', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const together = new RollupBuffer();
        const apart = [1, 2, 3].map(() => new RollupBuffer());
        for (const step of [...all, 'all' as const]) {
          if (typeof step === 'object') {
            const [deviceId, rows] = step;
            feed(together, [rows], deviceId);
            feed(apart[deviceId - 1]!, [rows], deviceId);
          } else if (step === 'all') {
            const found = taken(together.take());
            for (const [at, buffer] of apart.entries()) {
              expect(found.filter(([deviceId]) => deviceId === at + 1)).toEqual(taken(buffer.take()));
            }
          } else {
            const deviceId = Number(step.slice(3));
            expect(taken(together.takeOf(deviceId))).toEqual(taken(apart[deviceId - 1]!.take()));
            expect(together.length).toBe(apart.reduce((sum, { length }) => sum + length, 0));
          }
        }
      }),
      { seed: 33 },
    );
  });

  it('is named when it has many minutes, until it was taken', () => {
    const buffer = new RollupBuffer();
    feed(buffer, [Array.from({ length: 999 }, (_, minute): [number, number] => [minute * 60, 1])], 1);
    feed(buffer, [Array.from({ length: 999 }, (_, minute): [number, number] => [minute * 60, 1])], 2);
    expect(buffer.heavy).toBeUndefined();
    feed(buffer, [[[999 * 60, 1]]], 2);
    expect(buffer.heavy).toBe(2);
    expect(buffer.takeOf(2).length).toBe(1000 + Math.ceil(1000 / 15));
    expect(buffer.heavy).toBeUndefined();
    expect(buffer.length).toBe(999);
  });
});
