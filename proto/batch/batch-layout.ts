/** Field numbers of tributary.v1.Batch. */
export const BatchField = { segment: 1, timeUnit: 2, baseTime: 3, columnar: 4 } as const;
/** Field numbers that are kept for bodies of later encodings: a batch with one of these is an unknown encoding. */
export const FIRST_LATER_BODY = 5;
export const LAST_LATER_BODY = 15;

/** The time unit field: the unit exponent in the low four bits, above it the decimal zeros cut from the base time. */
export const UNIT_EXPONENT_BITS = 4;
export const UNIT_EXPONENT_MAX = 9;
/** Seven zeros keep the field in one byte. */
export const BASE_ZEROS_MAX = 7;

/** How the instants of a group are stored. The numbers are on the wire. */
export const TimeForm = {
  /** An integer column. */
  integers: 0,
  /** The first instant, then the differences as runs of equal ones. */
  differenceRuns: 1,
  /** 64-bit doubles. */
  raw: 2,
} as const;
export const TIME_FORM_BITS = 2;
/** Bits of the number of decimal zeros cut from the instants. */
export const TIME_ZEROS_BITS = 4;
export const TIME_ZEROS_MAX = 15;

/** Column types on the wire. */
export const TypeCode = { double: 0, boolean: 1, string: 2 } as const;
export const TYPE_BITS = 2;

export const SERIES_ID_MAX = 0xffff_ffff;
