import { describe, expect, it } from 'vitest';
import { MergedRun } from './merged-run.js';

const origin = (sequence: number) => ({ epoch: '00', sequence });
const readings = (times: number[], values: number[], strings: string[] | null = null, from = 0) => ({
  from,
  count: times.length,
  timesUs: Float64Array.from(times),
  values: Float64Array.from(values),
  rows: null,
  strings,
});

describe('readings of several series', () => {
  it('come out in order of time, each with its series, value, place and text', () => {
    const run = new MergedRun();
    const [first, second] = [origin(1), origin(2)];
    run.add(readings([10, 20, 30], [1, 2, 3], null, 1), 0, first);
    run.add(readings([20, 25], [1, 0], ['shut', 'open']), 1, first);
    run.add(readings([22], [0], ['open']), 2, second);
    const { count, timesUs, values, member, origins, originOf, rows, texts } = run.take(0)!;
    const all = Array.from({ length: count }, (_, at) => [
      timesUs[at],
      member[at],
      member[at] === 0 ? values[at] : texts?.[values[at]!],
      origins[originOf[at]!]?.sequence,
      rows[at],
    ]);
    expect(all).toEqual([
      [20, 0, 2, 1, 1],
      [20, 1, 'open', 1, 0],
      [22, 2, 'open', 2, 0],
      [25, 1, 'shut', 1, 1],
      [30, 0, 3, 1, 2],
    ]);
    expect(run.take(0)).toBeUndefined();
  });

  it('that come too late are left out, and any number finds room', () => {
    const run = new MergedRun();
    const times = Array.from({ length: 1000 }, (_, at) => 1000 - at);
    run.add(readings(times, times), 0, origin(1));
    const { count, values } = run.take(901)!;
    expect([count, values[0], values[99]]).toEqual([100, 901, 1000]);
    run.add(readings([5], [5]), 0, origin(1));
    expect(run.take(901)).toBeUndefined();
  });
});
