import type { SeriesReadings } from '../replay/csv-table.js';
import { type WorkloadOptions, workloadBatches, workloadSeries } from './workload.js';

/** In readings. */
export interface WorkloadFound {
  /** Found as they were made, each once. */
  stored: number;
  /** Found once too often. */
  duplicates: number;
  /** Found with another time or value, or in a series that the workload does not have. */
  altered: number;
}

/** Makes a workload anew and compares what a collector answers for its device with it, by name of the series. */
export function compareWorkload(options: WorkloadOptions, found: ReadonlyMap<string, SeriesReadings>): WorkloadFound {
  const { startUs, intervalUs, batches, batchReadings, series } = options;
  const rowsMade = (batches * batchReadings) / series;
  const times = new Float64Array(rowsMade);
  const values = Array.from({ length: series }, () => new Float64Array(rowsMade));
  let from = 0;
  for (const { baseTime, groups } of workloadBatches(options)) {
    const { rows, times: offsets, columns } = groups[0]!;
    for (let row = 0; row < rows; row++) times[from + row] = Number(baseTime) + offsets[row]!;
    for (const [at, column] of columns.entries()) values[at]!.set(column.values, from);
    from += rows;
  }
  const numbers = new Map(workloadSeries(options).map(({ id, name }) => [name, id - 1]));
  const compared = { stored: 0, duplicates: 0, altered: 0 };
  for (const [name, { timesUs, values: answered }] of found) {
    const made = values[numbers.get(name) ?? -1];
    const seen = new Uint8Array(rowsMade);
    for (const [at, timeUs] of timesUs.entries()) {
      // A row is late by less than its interval.
      const row = Math.floor((timeUs - startUs) / intervalUs);
      if (made === undefined || times[row] !== timeUs || !Object.is(answered[at], made[row])) compared.altered++;
      else if (seen[row] === 1) compared.duplicates++;
      else {
        seen[row] = 1;
        compared.stored++;
      }
    }
  }
  return compared;
}
