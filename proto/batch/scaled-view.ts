import { correctFraction, lastDigitsBetween, ulpsBetween } from './corrections.js';
import { decimalOfOrder, orderOfDecimal } from './decimal-order.js';
import { DoubleForm, POWERS_OF_TEN, roundToDigits } from './double-code.js';
import { INTEGER_MAX } from './integer-code.js';
import { log2 } from './log2.js';

/** Corrections beyond this magnitude are no corrections: the value is stored raw. */
const CORRECTION_MAX = 2 ** 11;

/** Adding and subtracting this rounds to the nearest integer, faster than Math.round; below 2^51 that is exact. */
const ROUNDING = 3 * 2 ** 51;

/** What the header of the stepped form takes beyond that of the decimal form, and some luck of short columns. */
const STEP_BITS = 24;

/**
 * A column of doubles seen as integers over a divisor, and exceptions: where the integer does not give the value
 * exactly, a correction does, or the value is stored raw (correction 0). Reused: one lives in the encoder.
 */
export class ScaledView {
  form: number = DoubleForm.decimal;
  /** The divisor is 10^exponent in the decimal forms. */
  exponent = 0;
  divisor = 1;
  /** Corrections are in units of 1 / (divisor * refinement); 0: in units of the last significant digit. */
  refinement = 0;
  digits = 0;
  integers = new Float64Array(1024);
  positions = new Int32Array(1024);
  corrections = new Int32Array(1024);
  exceptions = 0;
  raws = 0;
  /** Bits of the widest correction. */
  width = 0;
  /** The stepped form's integers count steps from the offset. */
  offset = 0;
  step = 1;
  /** How many integers equal the one before. */
  repeats = 0;
  /** The smallest and the largest integer of the decimal form. */
  low = 0;
  high = 0;

  reserve(count: number): void {
    if (this.integers.length >= count) return;
    this.integers = new Float64Array(count * 2);
    this.positions = new Int32Array(count * 2);
    this.corrections = new Int32Array(count * 2);
  }

  /** What the exceptions take, in bits. */
  exceptionBits(count: number): number {
    if (this.exceptions === 0) return 0;
    const gap = count / this.exceptions;
    return 14 + this.exceptions * (1.6 + log2(gap) + this.width) + this.raws * 64;
  }

  /** Views the values as integers over 10^exponent. Returns -1, or the index of the first value that is none. */
  fillPlain(values: Float64Array, count: number, exponent: number): number {
    const power = POWERS_OF_TEN[exponent]!;
    const integers = this.integers;
    let repeats = 0;
    let last = Number.NaN;
    let low = 0;
    let high = 0;
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      const integer = value * power + ROUNDING - ROUNDING;
      if (integer / power !== value || (integer === 0 && isNegativeZero(value))) return i;
      if (integer === last) repeats++;
      if (integer < low) low = integer;
      else if (integer > high) high = integer;
      integers[i] = integer;
      last = integer;
    }
    if (!isInRange(low) || !isInRange(high)) return 0;
    this.form = DoubleForm.decimal;
    this.exponent = exponent;
    this.#restart();
    this.repeats = repeats;
    this.low = low;
    this.high = high;
    return -1;
  }

  /** Views the values as integers over 10^exponent and exceptions. */
  fillDecimal(values: Float64Array, count: number, exponent: number): void {
    const power = POWERS_OF_TEN[exponent]!;
    const integers = this.integers;
    this.exponent = exponent;
    this.#restart();
    let repeats = 0;
    let last = Number.NaN;
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      // Plus 0: the decoder's integers know no -0, and a correction from it would lose the sign of a tiny value.
      let integer = Math.round(value * power) + 0;
      const inRange = isInRange(integer);
      if (integer / power !== value || !inRange || isNegativeZero(value)) {
        const ulps = inRange ? ulpsBetween(integer / power, value) : 0;
        if (ulps === 0) integer = i === 0 ? 0 : last;
        this.#except(i, ulps);
      }
      if (integer === last) repeats++;
      integers[i] = integer;
      last = integer;
    }
    this.repeats = repeats;
    this.form = this.exceptions > 0 ? DoubleForm.decimalCorrected : DoubleForm.decimal;
    if (this.exceptions === 0) this.#measure(count);
  }

  /** Turns a plain decimal view into multiples of the integers' common step, if there is one that pays. */
  divideByStep(count: number): boolean {
    const integers = this.integers;
    const step = commonStep(integers, count);
    if (step < 2 || (count - 2) * log2(step) < STEP_BITS) return false;
    const offset = integers[0]!;
    for (let i = 0; i < count; i++) integers[i] = (integers[i]! - offset) / step;
    this.form = DoubleForm.stepped;
    this.offset = offset;
    this.step = step;
    return true;
  }

  /** Views the values as the order of decimal numbers with `digits` significant digits and at most `exponent` decimals. */
  fillSignificant(values: Float64Array, count: number, digits: number, exponent: number): void {
    this.form = DoubleForm.significant;
    this.digits = digits;
    this.exponent = exponent;
    this.#restart();
    let repeats = 0;
    let last = 0;
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      let integer = orderOfDecimal(value, digits, exponent) + 0;
      const exact = isInRange(integer) && !isNegativeZero(value);
      const base = exact ? decimalOfOrder(integer, digits, exponent) : 0;
      if (!exact || base !== value) {
        const ulps = exact ? ulpsBetween(base, value) : 0;
        if (ulps === 0) integer = last;
        this.#except(i, ulps);
      }
      if (integer === last) repeats++;
      this.integers[i] = integer;
      last = integer;
    }
    this.repeats = repeats;
  }

  /** Views the values as integers over `divisor`, rounded to digits; see `refinement`. */
  fillFraction(values: Float64Array, count: number, divisor: number, refinement: number, digits: number): void {
    this.form = DoubleForm.fraction;
    this.divisor = divisor;
    this.refinement = refinement;
    this.digits = digits;
    this.#restart();
    let repeats = 0;
    let last = 0;
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      let integer = Math.round(value * divisor);
      const inRange = isInRange(integer);
      if (!inRange || roundToDigits(integer / divisor, digits) !== value || isNegativeZero(value)) {
        const correction = inRange ? this.#correctionOf(value, integer) : 0;
        if (correction === 0) integer = last;
        this.#except(i, correction);
      }
      if (integer === last) repeats++;
      this.integers[i] = integer;
      last = integer;
    }
    this.repeats = repeats;
  }

  #correctionOf(value: number, integer: number): number {
    const { divisor, refinement, digits } = this;
    if (isNegativeZero(value)) return 0;
    const correction =
      refinement === 0
        ? lastDigitsBetween(roundToDigits(integer / divisor, digits), value, digits)
        : Math.round(value * divisor * refinement) - integer * refinement;
    if (Math.abs(correction) > CORRECTION_MAX) return 0;
    return correctFraction(integer, divisor, refinement, digits, correction) === value ? correction : 0;
  }

  #measure(count: number): void {
    this.low = 0;
    this.high = 0;
    for (let i = 0; i < count; i++) {
      this.low = Math.min(this.low, this.integers[i]!);
      this.high = Math.max(this.high, this.integers[i]!);
    }
  }

  #restart(): void {
    this.exceptions = 0;
    this.raws = 0;
    this.width = 0;
  }

  #except(position: number, correction: number): void {
    this.positions[this.exceptions] = position;
    this.corrections[this.exceptions++] = correction;
    if (correction === 0) this.raws++;
    else this.width = Math.max(this.width, 32 - Math.clz32((correction << 1) ^ (correction >> 31)));
  }
}

/** The largest integer that divides all differences; 1 or 0 where there is none. */
function commonStep(integers: Float64Array, count: number): number {
  let step = 0;
  for (let i = 1; i < count; i++) {
    let rest = Math.abs(integers[i]! - integers[i - 1]!);
    while (rest !== 0) {
      const next = step - Math.floor(step / rest) * rest;
      step = rest;
      rest = next;
    }
    if (step === 1) return 1;
  }
  return step;
}

function isInRange(integer: number): boolean {
  return integer < INTEGER_MAX && integer > -INTEGER_MAX;
}

function isNegativeZero(value: number): boolean {
  return value === 0 && 1 / value < 0;
}
