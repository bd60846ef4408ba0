import type { Batch, Column } from '@tributary/proto/batch/batch';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readingsBatch, TestDevice } from '../../rules/test-device.js';
import { openMemory } from '../../store/sqlite/schema.js';
import { SqliteStore } from '../../store/sqlite/sqlite-store.js';
import { EventOrder } from './event-order.js';

let database: ReturnType<typeof openMemory>;
let store: SqliteStore;
let devices = 0;

beforeEach(() => {
  database = openMemory();
  store = SqliteStore.openInMemory(database);
});

afterEach(async () => {
  await store.close();
  database.close();
});

/** A batch of temperature and door, at times in seconds; NaN is no reading. */
function twoSeries(rows: readonly (readonly [second: number, temperature: number, door: number])[]): Batch {
  const batch = readingsBatch(rows.map(([second, value]) => [second, value]));
  const [group] = batch.groups;
  const column = (seriesId: number, type: Column['type'], values: readonly number[]): Column => {
    const present = values.flatMap((value, row) => (Number.isNaN(value) ? [] : [row]));
    const presence = new Uint8Array(Math.ceil(values.length / 8));
    for (const row of present) presence[row >> 3]! |= 1 << (row & 7);
    const all = present.length === values.length;
    const kept = Float64Array.from(present, (row) => values[row]!);
    return { seriesId, type, presence: all ? null : presence, count: kept.length, values: kept, strings: [] };
  };
  const columns = [
    column(
      1,
      'double',
      rows.map((row) => row[1]),
    ),
    column(
      2,
      'boolean',
      rows.map((row) => row[2]),
    ),
  ].filter(({ count }) => count > 0);
  const readings = columns.reduce((sum, { count }) => sum + count, 0);
  return { ...batch, readings, groups: [{ ...group!, columns }] };
}

interface Told {
  readings: string[];
  breaks: number[];
}

async function told(device: TestDevice, range: { from?: number; until?: number } = {}, waitingMax = 5): Promise<Told> {
  const series = await store.listSeries(device.deviceId);
  const names = new Map(series.map(({ seriesId, name }) => [seriesId, name]));
  const order = new EventOrder({
    store,
    range: { deviceId: device.deviceId, fromUs: (range.from ?? 0) * 1e6, untilUs: (range.until ?? 1e9) * 1e6 },
    series: new Set(series.filter(({ name }) => name !== 'state').map(({ seriesId }) => seriesId)),
    waitingMax,
  });
  const found: Told = { readings: [], breaks: [] };
  let untilUs = Number.NEGATIVE_INFINITY;
  for await (const stretch of order.stretches()) {
    for (const [seriesId, { count, timesUs, values, rows, sourceOf, sources }] of stretch.series) {
      for (let index = 0; index < count; index += 1) {
        expect(timesUs[index]).toBeGreaterThanOrEqual(untilUs);
        expect(timesUs[index]).toBeLessThan(stretch.untilUs);
        const { origin } = sources[sourceOf[index]!]!;
        const place = `${origin.sequence}/${rows[index]}`;
        found.readings.push(`${names.get(seriesId)}@${timesUs[index]! / 1e6}=${values[index]} ${place}`);
      }
    }
    for (const { atUs: breakUs, leftUs } of stretch.breaks) {
      expect(leftUs).toBeLessThan(breakUs);
      expect(breakUs).toBeGreaterThanOrEqual(untilUs);
      expect(breakUs).toBeLessThan(stretch.untilUs);
      found.breaks.push(breakUs / 1e6);
    }
    untilUs = stretch.untilUs;
  }
  return found;
}

describe('the order of event time', () => {
  it('is made of items that overlap, in parts that are whole', async () => {
    const rows = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom(1, 2, Number.NaN), fc.constantFrom(0, 1, Number.NaN)),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(rows, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 20 }),
        async (batches, waitingMax) => {
          const device = await new TestDevice(store, `d${devices++}`).register();
          const items = batches
            .filter((batch) => batch.some(([, t, d]) => !Number.isNaN(t) || !Number.isNaN(d)))
            .map((batch) => ({ batch, item: device.item(twoSeries(batch)) }));
          for (const { item } of items) await device.commit([item]);
          const naive = new Map<string, string>();
          for (const { batch, item } of items) {
            for (const [row, [second, temperature, door]] of batch.entries()) {
              const add = (name: string, value: number) => {
                const key = `${name}@${second}`;
                if (!Number.isNaN(value) && !naive.has(key)) naive.set(key, `${key}=${value} ${item.sequence}/${row}`);
              };
              add('temperature', temperature);
              add('door', door);
            }
          }
          const { readings } = await told(device, {}, waitingMax);
          expect(readings.toSorted()).toEqual([...naive.values()].sort());
        },
      ),
      { seed: 20260105, numRuns: 60 },
    );
  });

  it('holds what is in the range alone', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    await device.commit([
      device.item(
        readingsBatch([
          [1, 1],
          [2, 2],
          [3, 3],
        ]),
      ),
      device.item(readingsBatch([[4, 4]])),
    ]);
    expect((await told(device, { from: 2, until: 4 })).readings).toEqual([
      'temperature@2=2 1/1',
      'temperature@3=3 1/2',
    ]);
    expect((await told(device, { from: 5, until: 6 })).readings).toEqual([]);
  });

  it('says before which times readings are missing', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const items = [1, 2, 3, 4, 5].map((second) => device.item(readingsBatch([[second, second]])));
    // The second is lost, the fourth comes late.
    await device.commit([items[0]!, items[2]!, items[4]!]);
    expect((await told(device)).breaks).toEqual([3, 5]);
    await device.commit([items[3]!]);
    expect((await told(device)).breaks).toEqual([3]);
    expect((await told(device, {}, 1)).breaks).toEqual([3]);
    // What lies before the range is of no concern.
    expect((await told(device, { from: 3 })).breaks).toEqual([]);
  });
});
