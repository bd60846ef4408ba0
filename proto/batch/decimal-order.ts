import { POWERS_OF_TEN } from './double-code.js';

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
