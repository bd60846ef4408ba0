import { DIGITS_MAX, DoubleForm, EXPONENT_MAX, POWERS_OF_TEN } from './double-code.js';
import type { ScaledView } from './scaled-view.js';

/*
 * Loggers that print 4 or 7 significant digits give large values fewer decimals than small ones: 498.6 beside 1.365.
 * Over one power of ten the large values would carry digits that are always zero. Here the decimal numbers of d
 * significant digits and at most e decimals are counted in their order instead. Below 10^(d-e) they lie 10^-e apart;
 * each decade above has 9 * 10^(d-1) of them, ten times as far apart as in the decade below.
 */

/** The place of `value` in the order of such numbers, negative for negative values. */
export function orderOfDecimal(value: number, digits: number, exponent: number): number {
  const size = Math.abs(value);
  const dense = POWERS_OF_TEN[digits]!;
  let decimals = exponent;
  let scaled = Math.round(size * POWERS_OF_TEN[decimals]!);
  let before = 0;
  while (scaled >= dense && decimals > 0) {
    decimals--;
    before += dense - dense / 10;
    scaled = Math.round(size * POWERS_OF_TEN[decimals]!);
  }
  return value < 0 ? -(before + scaled) : before + scaled;
}

/** The number at a place of that order. */
export function decimalOfOrder(order: number, digits: number, exponent: number): number {
  const dense = POWERS_OF_TEN[digits]!;
  const decade = dense - dense / 10;
  let scaled = Math.abs(order);
  let decimals = exponent;
  while (scaled >= dense && decimals > 0) {
    scaled -= decade;
    decimals--;
  }
  const value = scaled / POWERS_OF_TEN[decimals]!;
  return order < 0 ? -value : value;
}

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
