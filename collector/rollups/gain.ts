import type { BucketGain } from './rollup-rows.js';

/**
 * Sums up `values[from .. until)`, whose times go up, into `gain`. Values that are not finite are left out; the
 * answer is false when none is left.
 *
 * One pass over the differences from the first value: the sum of squares about a value of the sample is at most
 * (count + 1) times that about the mean, so cancellation costs no more than that factor of the last bit.
 */
export function sumUp(
  values: Float64Array,
  timesUs: Float64Array,
  from: number,
  until: number,
  gain: BucketGain,
): boolean {
  const origin = values[from]!;
  let min = origin;
  let max = origin;
  let sum = 0;
  let squares = 0;
  for (let index = from + 1; index < until; index += 1) {
    const value = values[index]!;
    const difference = value - origin;
    sum += difference;
    squares += difference * difference;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  // Anything not finite, the first value included, or too far apart for squares, shows here.
  if (!Number.isFinite(squares) || !Number.isFinite(origin)) {
    return sumUpCarefully(values, timesUs, from, until, gain);
  }
  const count = until - from;
  gain.count = count;
  gain.min = min;
  gain.max = max;
  gain.mean = origin + sum / count;
  gain.m2 = Math.max(0, squares - (sum * sum) / count);
  gain.first = origin;
  gain.firstUs = timesUs[from]!;
  gain.last = values[until - 1]!;
  gain.lastUs = timesUs[until - 1]!;
  return true;
}

/** The same for values among which are some that are not finite, or whose differences overflow. */
function sumUpCarefully(
  values: Float64Array,
  timesUs: Float64Array,
  from: number,
  until: number,
  gain: BucketGain,
): boolean {
  let count = 0;
  let mean = 0;
  let m2 = 0;
  gain.min = Number.POSITIVE_INFINITY;
  gain.max = Number.NEGATIVE_INFINITY;
  for (let index = from; index < until; index += 1) {
    const value = values[index]!;
    if (!Number.isFinite(value)) continue;
    count += 1;
    if (count === 1) {
      gain.first = value;
      gain.firstUs = timesUs[index]!;
    }
    gain.last = value;
    gain.lastUs = timesUs[index]!;
    if (value < gain.min) gain.min = value;
    if (value > gain.max) gain.max = value;
    // Welford 1962, with the quotients taken apart so that the mean stays finite.
    const before = value - mean;
    mean = Number.isFinite(before) ? mean + before / count : mean * ((count - 1) / count) + value / count;
    m2 += before * (value - mean);
  }
  gain.count = count;
  gain.mean = mean;
  gain.m2 = Math.max(0, m2);
  return count > 0;
}
