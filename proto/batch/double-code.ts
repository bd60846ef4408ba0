/** How the doubles of a column are represented. The numbers are on the wire. */
export const DoubleForm = {
  /** Integers over a power of ten. */
  decimal: 0,
  /** As decimal, and corrections. */
  decimalCorrected: 1,
  /** Integers over any divisor, rounded to significant digits, and corrections: averages. */
  fraction: 2,
  /** The high word of each double as an integer, the low words raw without their common trailing zeros. */
  bits: 3,
  /** 64 bits each. */
  raw: 4,
  /** Decimal numbers of so many significant digits, counted in their order, and corrections. */
  significant: 5,
  /** As decimal, where the integers are an offset and multiples of a step: a converter's resolution. */
  stepped: 6,
} as const;

export const FORM_BITS = 3;
export const EXPONENT_BITS = 5;
/** 10^22 is the largest power of ten that a double holds exactly, so the quotient is rounded once, as parsers do. */
export const EXPONENT_MAX = 22;
/** Bits of the number of significant digits; 0 means not rounded. */
export const DIGITS_BITS = 5;
export const DIGITS_MAX = 17;
/** Beyond this a divisor times a refinement times a value would not be exact. */
export const DIVISOR_MAX = 2 ** 24;
export const REFINEMENT_MAX = 2 ** 12;
/** Bits of the number of raw low bits in the bits form. */
export const LOW_BITS_BITS = 6;
/** Bits of the width of a correction; width 0: every exception is raw. */
export const WIDTH_BITS = 4;

/** Powers of ten that doubles hold exactly. */
export const POWERS_OF_TEN: Float64Array = Float64Array.from({ length: EXPONENT_MAX + 1 }, (_, e) => Number(`1e${e}`));

/** How many decimals `value` has when it is printed with so many significant digits: 0 to 22. */
export function decimalsOf(value: number, digits: number): number {
  const size = Math.abs(value);
  let decimals = digits;
  if (size >= 1) {
    for (let limit = 1; limit <= size && decimals > 0; limit *= 10) decimals--;
  } else {
    for (let scaled = size * 10; scaled < 1 && decimals < EXPONENT_MAX; scaled *= 10) decimals++;
  }
  return decimals;
}

/** `value` rounded to significant digits, ties toward positive infinity; 0 digits: as it is. */
export function roundToDigits(value: number, digits: number): number {
  if (digits === 0) return value;
  const power = POWERS_OF_TEN[decimalsOf(value, digits)]!;
  return Math.round(value * power) / power;
}

if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
  throw new Error('The batch codec reads doubles in place and needs a little-endian machine.');
}
