import { POWERS_OF_TEN } from './double-code.js';
import { INTEGER_MAX } from './integer-code.js';
import type { ScaledView } from './scaled-view.js';

/** Beyond this exponent a decimal form cannot win against the bits of the double. */
const SEARCH_MAX = 17;
/** Above this exponent a column may hold computed values, and every value is looked at to choose it. */
const PLAIN_MAX = 6;
/** What an exception costs in bits, roughly, while the exponent is chosen. */
const EXCEPTION_BITS = 70;

const histogram = new Int32Array(SEARCH_MAX + 2);

/** The smallest exponent not below `from` that represents `value`, or -1: not finite, or too many digits. */
export function exponentOf(value: number, from: number): number {
  for (let exponent = from; exponent <= SEARCH_MAX; exponent++) {
    const power = POWERS_OF_TEN[exponent]!;
    const integer = Math.round(value * power);
    if (!(integer < INTEGER_MAX && integer > -INTEGER_MAX)) return -1;
    if (integer / power === value) return exponent;
  }
  return -1;
}

/** How many values tell whether a column is decimal at all. */
const SAMPLES = 16;

/**
 * Fills `view` with the power of ten that makes the column smallest. False, and nothing filled, where most values have
 * more digits than a decimal number would: they were computed.
 */
export function viewAsDecimals(values: Float64Array, count: number, view: ScaledView): boolean {
  let exponent = Math.max(0, exponentOf(values[0]!, 0));
  exponent = Math.max(exponent, exponentOf(values[count >> 1]!, exponent));
  while (exponent <= PLAIN_MAX) {
    const failed = view.fillPlain(values, count, exponent);
    if (failed < 0) return true;
    const next = exponentOf(values[failed]!, exponent + 1);
    if (next < 0 || next > exponent + 3) break;
    exponent = next;
  }
  if (isComputed(values, count)) return false;
  view.fillDecimal(values, count, bestExponent(values, count));
  return true;
}

function isComputed(values: Float64Array, count: number): boolean {
  const step = Math.max(1, count / SAMPLES);
  let samples = 0;
  let computed = 0;
  for (let at = 0; at < count; at += step) {
    samples++;
    if (exponentOf(values[Math.floor(at)]!, 0) < 0) computed++;
  }
  // An exception takes as much as the double itself: three of four leave nothing to gain.
  return computed * 4 > samples * 3;
}

/** The exponent of least cost when every value is looked at. */
function bestExponent(values: Float64Array, count: number): number {
  histogram.fill(0);
  let from = 0;
  for (let i = 0; i < count; i++) {
    // Most values need as many digits as the last: two quotients instead of as many as there are digits.
    const value = values[i]!;
    const power = POWERS_OF_TEN[from]!;
    const lower = POWERS_OF_TEN[from === 0 ? 0 : from - 1]!;
    const fits = Math.round(value * power) / power === value;
    if (!fits || (from > 0 && Math.round(value * lower) / lower === value)) from = exponentOf(value, fits ? 0 : from);
    else if (Math.abs(value * power) >= INTEGER_MAX) from = -1;
    histogram[from < 0 ? SEARCH_MAX + 1 : from]!++;
    if (from < 0) from = 0;
  }
  let best = 0;
  let bestBits = Number.POSITIVE_INFINITY;
  let covered = 0;
  for (let exponent = 0; exponent <= SEARCH_MAX; exponent++) {
    covered += histogram[exponent]!;
    const bits = covered * exponent * Math.log2(10) + (count - covered) * EXCEPTION_BITS;
    if (covered > 0 && bits < bestBits) {
      best = exponent;
      bestBits = bits;
    }
  }
  return best;
}
