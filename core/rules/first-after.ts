/** Index of the first of `count` times, which go up, that is later than `afterUs`; `count` when none is. */
export function firstAfter(timesUs: Float64Array, count: number, afterUs: number): number {
  // Mostly all of them are: what comes live is later than what came before.
  if (count === 0 || timesUs[0]! > afterUs) return 0;
  let from = 0;
  let high = count;
  while (from < high) {
    const middle = (from + high) >>> 1;
    if (timesUs[middle]! <= afterUs) from = middle + 1;
    else high = middle;
  }
  return from;
}
