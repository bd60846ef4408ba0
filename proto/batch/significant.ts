import { DIGITS_MAX, DoubleForm, EXPONENT_MAX, POWERS_OF_TEN } from './double-code.js';
import type { ScaledView } from './scaled-view.js';

/** Fewer significant digits than this are no sign of a logger that rounds to them. */
const DIGITS_MIN = 3;

/**
 * The significant digits that a column was printed with, or 0 where its large values have as many decimals as its
 * small ones. Looks at the large values alone, and for most columns at the first of them only.
 */
export function significantDigits(view: ScaledView, count: number): number {
  if (view.form !== DoubleForm.decimal || view.exponent === 0) return 0;
  const largest = Math.max(view.high, -view.low);
  const digits = digitsOf(largest);
  let most = DIGITS_MIN;
  for (let i = 0; i < count; i++) {
    const integer = Math.abs(view.integers[i]!);
    // A number without trailing zeros has as many significant digits as it is long.
    if (integer >= POWERS_OF_TEN[most]!) {
      const significant = digitsWithoutZeros(integer);
      if (significant > most) most = significant;
      if (most >= digits) return 0;
    }
  }
  return most < digits && most <= DIGITS_MAX && view.exponent <= EXPONENT_MAX ? most : 0;
}

function digitsOf(integer: number): number {
  let digits = 1;
  while (digits < EXPONENT_MAX && integer >= POWERS_OF_TEN[digits]!) digits++;
  return digits;
}

function digitsWithoutZeros(integer: number): number {
  let rest = integer;
  while (Number.isInteger(rest / 10)) rest /= 10;
  return digitsOf(rest);
}
