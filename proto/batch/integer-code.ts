/** How the next integer of a column is predicted from those before it. The numbers are on the wire. */
export const Predictor = {
  /** A constant level. */
  level: 0,
  /** The last value. */
  last: 1,
  /** The line through the last two values. */
  line: 2,
  /** The last value and half of the last difference. */
  halfLine: 3,
  /** The mean of the last two values. */
  mean: 4,
  /** The last value and a constant slope. */
  slope: 5,
} as const;

/** For each predictor the share of the last difference that the next one is expected to have. */
export const SHARES = [0, 0, 1, 0.5, -0.5, 0] as const;

/** Bits of the predictor and of the scale in an integer column's header. */
export const PREDICTOR_BITS = 3;
export const SCALE_BITS = 6;
/** The scale that says: every residual is zero, and none follows. */
export const SCALE_ALL_ZERO = 63;
/** Above this scale the low bits of a residual are noise, and are stored as they are. */
export const SCALE_RICE_MAX = 20;
/** How much of the scale is left to the Rice code when low bits are stored as they are. */
export const SCALE_RICE_WIDE = 8;
export const SCALE_MAX = SCALE_RICE_WIDE + 32;

/** A quotient of this many zero bits is an escape: the residual follows verbatim. */
export const ESCAPE_QUOTIENT = 20;
export const ESCAPE_MASK = 0xf_ffff;
/** Rice codes are for numbers below 2^28, so that sums of eight of them stay in 32 bits. */
export const RICE_LIMIT = 1 << 28;
/** The longest code of one residual in bits: low bits, escape, length, magnitude, sign. */
export const RESIDUAL_BITS_MAX = 32 + ESCAPE_QUOTIENT + 6 + 53 + 1;

/** The largest magnitude that integer columns take: second differences of it are still exact in a double. */
export const INTEGER_MAX = 2 ** 51;

/** Values between two checks for the end of the input. */
export const CHECK_STRIDE = 32;

/**
 * The running mean (times eight) after an escape, which counts as the smallest number that did not fit: the mean
 * follows a lasting change within a few values, and forgets a single spike as fast.
 */
export function afterEscape(mean: number): number {
  const k = 31 - Math.clz32((mean >>> 3) | 1);
  const weight = k > 22 ? 1 << 27 : ESCAPE_QUOTIENT << k;
  return (mean + weight - (mean >>> 3)) | 0;
}
