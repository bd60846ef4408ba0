import { decimalsOf, POWERS_OF_TEN, roundToDigits } from './double-code.js';

/** A value that differs in its last bits comes from arithmetic; sums and products of a few terms stay within this. */
const ULPS_MAX = 31;

const pair = new Float64Array(2);
const words = new Uint32Array(pair.buffer);

/** By how many units in the last place `value` lies above `base`; 0 when that is more than a few. */
export function ulpsBetween(base: number, value: number): number {
  pair[0] = base;
  pair[1] = value;
  const ulps = (words[3]! - words[1]!) * 4294967296 + (words[2]! - words[0]!);
  return Math.abs(ulps) <= ULPS_MAX ? ulps : 0;
}

/** By how many units of the last significant digit `value` lies above `base`. */
export function lastDigitsBetween(base: number, value: number, digits: number): number {
  const power = POWERS_OF_TEN[decimalsOf(base, digits)]!;
  return Math.round(value * power) - Math.round(base * power);
}

/**
 * The value of an integer and its correction in the fraction form: the correction counts 1 / (divisor * refinement),
 * or with refinement 0 the last significant digit.
 */
export function correctFraction(
  integer: number,
  divisor: number,
  refinement: number,
  digits: number,
  correction: number,
): number {
  if (refinement > 0) return roundToDigits((integer * refinement + correction) / (divisor * refinement), digits);
  const rounded = roundToDigits(integer / divisor, digits);
  const power = POWERS_OF_TEN[decimalsOf(rounded, digits)]!;
  return (Math.round(rounded * power) + correction) / power;
}
