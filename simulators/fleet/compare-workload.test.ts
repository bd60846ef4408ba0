import { describe, expect, it } from 'vitest';
import type { SeriesReadings } from '../replay/csv-table.js';
import { compareWorkload } from './compare-workload.js';
import { type WorkloadOptions, workloadBatches, workloadSeries } from './workload.js';

const options: WorkloadOptions = {
  seed: 3,
  epoch: new Uint8Array(16),
  batchReadings: 40,
  batches: 3,
  series: 4,
  intervalUs: 1_000_000,
  startUs: 1_700_000_000_000_000,
};
const READINGS = 120;

/** What a collector that has everything answers. */
function everything(): Map<string, SeriesReadings> {
  const found = new Map(
    workloadSeries(options).map(({ name }) => [name, { timesUs: [], values: [] } as SeriesReadings]),
  );
  for (const { baseTime, groups } of workloadBatches(options)) {
    const { times, columns } = groups[0]!;
    for (const [at, series] of [...found.values()].entries()) {
      series.timesUs.push(...Array.from(times, (time) => Number(baseTime) + time));
      series.values.push(...columns[at]!.values);
    }
  }
  return found;
}

describe('compareWorkload', () => {
  it('finds everything that is as it was made', () => {
    expect(compareWorkload(options, everything())).toEqual({ stored: READINGS, duplicates: 0, altered: 0 });
  });

  it('finds what is missing, doubled, altered, moved in time, or in a series that nobody made', () => {
    const found = everything();
    const [first, second, third, fourth] = [...found.values()];
    first!.timesUs.pop();
    first!.values.pop();
    second!.timesUs.push(second!.timesUs[7]!);
    second!.values.push(second!.values[7]!);
    third!.values[5]! += 0.01;
    fourth!.timesUs[9]! += 1;
    found.set('other', { timesUs: [options.startUs], values: [1] });
    expect(compareWorkload(options, found)).toEqual({ stored: READINGS - 3, duplicates: 1, altered: 3 });
  });

  it('tells a zero from a negative one', () => {
    const found = everything();
    const [series] = [...found.values()];
    const wrong = series!.values.map((value) => (value === 0 ? -0 : -value));
    found.set(workloadSeries(options)[0]!.name, { timesUs: series!.timesUs, values: wrong });
    expect(compareWorkload(options, found)).toEqual({ stored: READINGS - 30, duplicates: 0, altered: 30 });
  });
});
