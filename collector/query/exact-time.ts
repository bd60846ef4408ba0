/** The unit of a batch is 10^-n s; from this n on it is a microsecond or finer. */
const MICRO = 6;

/**
 * An instant without loss: whole microseconds since the Unix epoch, and what is left in units of 10^-9 s. Both are exact
 * as doubles, where nanoseconds since 1970 would not be.
 */
export interface TimeScale {
  /** Of the instants as they leave: that of the batch, or microseconds where the segment's offset needs them. */
  unitExponent: number;
  baseUs: number;
  /** Units of the base that are no whole microsecond. */
  baseRest: number;
  usPerUnit: number;
  unitsPerUs: number;
  nanosPerUnit: number;
}

/** How the instants of a batch lie on the Unix time line. `offsetUs` is what was added at ingest. */
export function timeScale(batch: { unitExponent: number; baseTime: bigint }, offsetUs: number): TimeScale {
  const { unitExponent, baseTime } = batch;
  if (unitExponent <= MICRO) {
    const usPerUnit = 10 ** (MICRO - unitExponent);
    return {
      unitExponent: offsetUs % usPerUnit === 0 ? unitExponent : MICRO,
      baseUs: Number(baseTime) * usPerUnit + offsetUs,
      baseRest: 0,
      usPerUnit,
      unitsPerUs: 1,
      nanosPerUnit: 0,
    };
  }
  const unitsPerUs = 10 ** (unitExponent - MICRO);
  return {
    unitExponent,
    baseUs: Number(baseTime / BigInt(unitsPerUs)) + offsetUs,
    baseRest: Number(baseTime % BigInt(unitsPerUs)),
    usPerUnit: 1,
    unitsPerUs,
    nanosPerUnit: 1000 / unitsPerUs,
  };
}

/** Offset of an instant from a base, both as whole microseconds and nanoseconds, in units of 10^-unitExponent s. */
export function offsetInUnits(
  unitExponent: number,
  us: number,
  nanos: number,
  fromUs: number,
  fromNanos: number,
): number {
  return unitExponent <= MICRO
    ? (us - fromUs) / 10 ** (MICRO - unitExponent)
    : (us - fromUs) * 10 ** (unitExponent - MICRO) + (nanos - fromNanos) / 10 ** (9 - unitExponent);
}

/** An instant as a decimal integer of units of 10^-unitExponent s since the Unix epoch. */
export function instantText(unitExponent: number, us: number, nanos: number): string {
  return unitExponent <= MICRO
    ? String(BigInt(us) / 10n ** BigInt(MICRO - unitExponent))
    : String(BigInt(us) * 10n ** BigInt(unitExponent - MICRO) + BigInt(nanos / 10 ** (9 - unitExponent)));
}
