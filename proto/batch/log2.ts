/** Bits of the integer part of a number from 0 to 2^53. */
export function bitLength(value: number): number {
  return value < 4294967296 ? 32 - Math.clz32(value) : 64 - Math.clz32(value / 4294967296);
}

/** The logarithm of a number from 1, as a chord between powers of two: within 0.09, and without a call. */
export function log2(value: number): number {
  const whole = bitLength(value) - 1;
  return whole + value / (whole < 31 ? 1 << whole : 2 ** whole) - 1;
}
