import type { Batch, Column } from '@tributary/proto/batch/batch';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { walkingSeries } from './sensor-walks.js';

export interface WorkloadOptions {
  seed: number;
  epoch: Uint8Array;
  /** Readings a batch; a multiple of `series`. */
  batchReadings: number;
  batches: number;
  series: number;
  /** Microseconds between two rows. */
  intervalUs: number;
  /** Unix time of the first row, microseconds. */
  startUs: number;
}

/** What one simulated device will send, encoded beforehand so that a load test measures the collector and not itself. */
export interface Workload {
  series: SeriesDeclaration[];
  items: Item[];
  readings: number;
  bodyBytes: number;
}

/** Rows come later than their interval by up to this much, as polls of real sensors do. */
const JITTER_US = 400;

/** The times and values of a workload, so that what a collector answers can be compared with what was sent. */
export function* workloadBatches(options: WorkloadOptions): Generator<Batch> {
  const walks = Array.from({ length: options.series }, (_, at) => walkingSeries(at, options.seed));
  const rows = options.batchReadings / options.series;
  const values = new Float64Array(options.batchReadings);
  const times = new Float64Array(rows);
  for (let batch = 0; batch < options.batches; batch++) {
    const baseUs = options.startUs + batch * rows * options.intervalUs;
    for (let row = 0; row < rows; row++) {
      // A cheap hash is jitter enough, and needs no state.
      const jitterUs = (Math.imul(batch * rows + row + options.seed, 0x9e3779b1) >>> 16) % JITTER_US;
      times[row] = row * options.intervalUs + jitterUs;
    }
    const columns: Column[] = walks.map((walk, at) => {
      const column = values.subarray(at * rows, (at + 1) * rows);
      for (let row = 0; row < rows; row++) column[row] = walk.next();
      return { seriesId: at + 1, type: 'double', presence: null, count: rows, values: column, strings: [] };
    });
    yield {
      segment: 0,
      unitExponent: 6,
      baseTime: BigInt(baseUs),
      groups: [{ rows, times, columns }],
      readings: options.batchReadings,
    };
  }
}

/** Encodes everything that one device will send. */
export function prepareWorkload(options: WorkloadOptions): Workload {
  if (options.batchReadings % options.series !== 0) {
    throw new RangeError(`${options.batchReadings} readings a batch are no multiple of ${options.series} series`);
  }
  const items: Item[] = [];
  let readings = 0;
  let bodyBytes = 0;
  for (const batch of workloadBatches(options)) {
    const body = encodeBatch(batch);
    const sequence = items.length + 1;
    const checksum = itemChecksum(options.epoch, sequence, ItemKind.BATCH, batch.readings, readings, body);
    items.push({ sequence, kind: ItemKind.BATCH, checksum, readings: batch.readings, readingsBefore: readings, body });
    readings += batch.readings;
    bodyBytes += body.length;
  }
  return { series: workloadSeries(options), items, readings, bodyBytes };
}

/** The catalogue of a workload; ids count from 1. */
export function workloadSeries({ series, seed }: Pick<WorkloadOptions, 'series' | 'seed'>): SeriesDeclaration[] {
  return Array.from({ length: series }, (_, at) => {
    const { name, unit } = walkingSeries(at, seed);
    return { id: at + 1, name, unit, labels: {}, type: ValueType.DOUBLE };
  });
}
