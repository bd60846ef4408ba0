import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Batch, Column } from '@tributary/proto/batch/batch';
import type { QueryReadingsResponse, Series } from '@tributary/proto/gen/tributary/v1/query';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDevice } from '../rules/test-device.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { queryReadings } from './readings.js';

let folder: string;
let store: SqliteStore;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-query-'));
  store = await SqliteStore.open({ path: join(folder, 'store.db') });
});

afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** A reading without loss: nanoseconds since the Unix epoch, and the bits of the value or its text. */
interface Exact {
  nanos: bigint;
  value: string;
}

const bits = new DataView(new ArrayBuffer(8));

function doubleOf(word: bigint): number {
  bits.setBigUint64(0, word);
  return bits.getFloat64(0);
}

function bitsOf(column: Column, index: number): string {
  if (column.type === 'string') return column.strings[column.values[index]!]!;
  return new BigUint64Array(column.values.buffer, column.values.byteOffset, column.count)[index]!.toString(16);
}

function expected(batches: readonly { batch: Batch; offsetUs: number }[], seriesId: number): Exact[] {
  const all: Exact[] = [];
  for (const { batch, offsetUs } of batches) {
    for (const group of batch.groups) {
      for (const column of group.columns) {
        if (column.seriesId !== seriesId) continue;
        let index = 0;
        for (let row = 0; row < group.rows; row += 1) {
          if (column.presence !== null && (column.presence[row >> 3]! & (1 << (row & 7))) === 0) continue;
          const units = batch.baseTime + BigInt(group.times[row]!);
          const nanos = units * 10n ** BigInt(9 - batch.unitExponent) + BigInt(offsetUs) * 1000n;
          all.push({ nanos, value: bitsOf(column, index) });
          index += 1;
        }
      }
    }
  }
  return all;
}

async function answered(deviceId: number, query: { fromUs?: number; untilUs?: number; limit?: number } = {}) {
  const series = new Map(
    (await store.listSeries(deviceId)).map((one): [number, Series] => [
      one.seriesId,
      { id: one.seriesId, device: 'd', name: one.name, unit: one.unit, labels: one.labels, type: one.type },
    ]),
  );
  const { fromUs = -9e15, untilUs = 9e15, limit = 0 } = query;
  const found = new Map<string, Exact[]>();
  for await (const message of queryReadings(store, { deviceId, fromUs, untilUs, limit, series })) {
    const name = message.series!.name;
    found.set(name, [...(found.get(name) ?? []), ...exact(message)]);
  }
  return found;
}

function exact(message: QueryReadingsResponse): Exact[] {
  const { values, strings, unitExponent } = message;
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return message.offsets.map((offset, index) => {
    expect(Number.isSafeInteger(offset)).toBe(true);
    const nanos = (BigInt(message.baseTime) + BigInt(offset)) * 10n ** BigInt(9 - unitExponent);
    const value = values.length === 0 ? strings[index]! : view.getBigUint64(index * 8, true).toString(16);
    return { nanos, value };
  });
}

function byTime(readings: readonly Exact[]): string[] {
  return readings.map(({ nanos, value }) => `${nanos} ${value}`).sort();
}

function expectAscending(readings: readonly Exact[]): void {
  for (let at = 1; at < readings.length; at += 1) expect(readings[at]!.nanos >= readings[at - 1]!.nanos).toBe(true);
}

const anyDouble = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(doubleOf),
  fc.constantFrom(
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    5e-324,
    doubleOf(0x7ff0000000000001n),
    doubleOf(0xfff8dead00000000n),
  ),
  fc.double(),
);

/** Batches of one device: all units of time, overlapping spans, rows without values. */
const anyBatch: fc.Arbitrary<{ batch: Batch; offsetUs: number }> = fc
  .record({
    unitExponent: fc.nat(9),
    startMs: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_060_000 }),
    offsetUs: fc.constantFrom(0, 0, 1_000_000, -7),
    rows: fc.array(
      fc.record({
        step: fc.integer({ min: -20, max: 100 }),
        value: anyDouble,
        present: fc.boolean(),
        flag: fc.boolean(),
        text: fc.constantFrom('open', 'shut', ''),
      }),
      {
        minLength: 1,
        maxLength: 20,
      },
    ),
  })
  .map(({ unitExponent, startMs, offsetUs, rows }) => {
    let time = 0;
    const times = Float64Array.from(rows, ({ step }) => {
      time += step;
      return time;
    });
    const baseTime =
      unitExponent >= 3
        ? BigInt(startMs) * 10n ** BigInt(unitExponent - 3)
        : BigInt(startMs) / 10n ** BigInt(3 - unitExponent);
    const presence = new Uint8Array(Math.ceil(rows.length / 8));
    const present = rows.filter((row, index) => {
      if (row.present) presence[index >> 3]! |= 1 << (index & 7);
      return row.present;
    });
    const whole = present.length === rows.length;
    const columns: Column[] = [
      {
        seriesId: 2,
        type: 'boolean',
        presence: null,
        count: rows.length,
        values: Float64Array.from(rows, ({ flag }) => Number(flag)),
        strings: [],
      },
    ];
    if (present.length > 0) {
      // Copied word by word: a NaN keeps its payload.
      const values = new Float64Array(present.length);
      for (const [index, { value }] of present.entries()) values[index] = value;
      columns.unshift({
        seriesId: 1,
        type: 'double',
        presence: whole ? null : presence,
        count: present.length,
        values,
        strings: [],
      });
    }
    const strings = [...new Set(rows.map(({ text }) => text))];
    columns.push({
      seriesId: 3,
      type: 'string',
      presence: null,
      count: rows.length,
      values: Float64Array.from(rows, ({ text }) => strings.indexOf(text)),
      strings,
    });
    const readings = columns.reduce((sum, { count }) => sum + count, 0);
    return {
      offsetUs,
      batch: {
        segment: offsetUs === 0 ? 0 : 1,
        unitExponent,
        baseTime,
        readings,
        groups: [{ rows: rows.length, times, columns }],
      },
    };
  });

describe('querying readings', () => {
  it('answers every reading bit for bit and each series in order of time, whatever overlaps', async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyBatch, { minLength: 1, maxLength: 12 }), async (batches) => {
        round += 1;
        const device = await new TestDevice(store, `d${round}`).register();
        for (const { batch, offsetUs } of batches) await device.commit([device.item(batch, { offsetUs })]);
        const found = await answered(device.deviceId);
        for (const [seriesId, name] of [
          [1, 'temperature'],
          [2, 'door'],
          [3, 'state'],
        ] as const) {
          const readings = found.get(name) ?? [];
          expectAscending(readings);
          expect(byTime(readings)).toEqual(byTime(expected(batches, seriesId)));
        }
      }),
      { seed: 20260404, numRuns: 60 },
    );
  });

  it('keeps to the half open range and to the limit', async () => {
    const device = await new TestDevice(store, 'ranged').register();
    const batch = (start: number): Batch => ({
      segment: 0,
      unitExponent: 0,
      baseTime: BigInt(start),
      readings: 10,
      groups: [
        {
          rows: 10,
          times: Float64Array.from({ length: 10 }, (_, at) => at),
          columns: [
            {
              seriesId: 1,
              type: 'double',
              presence: null,
              count: 10,
              values: Float64Array.from({ length: 10 }, (_, at) => start + at),
              strings: [],
            },
          ],
        },
      ],
    });
    for (const start of [20, 0, 5, 10]) await device.commit([device.item(batch(start))]);
    const seconds = async (query: Parameters<typeof answered>[1]) =>
      ((await answered(device.deviceId, query)).get('temperature') ?? []).map(({ nanos }) =>
        Number(nanos / 1_000_000_000n),
      );
    expect(await seconds({ fromUs: 3e6, untilUs: 7e6 })).toEqual([3, 4, 5, 5, 6, 6]);
    expect(await seconds({ limit: 7 })).toEqual([0, 1, 2, 3, 4, 5, 5]);
    expect(await seconds({ fromUs: 100e6 })).toEqual([]);
    expect(await seconds({ fromUs: 5e6, untilUs: 5e6 })).toEqual([]);
  });
});
