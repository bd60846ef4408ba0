import {
  type EventTimeScale,
  MICROSECOND_EXPONENT as MICRO,
  newEventTimeScale,
  setEventTimeScale,
} from '@tributary/core/event-time/event-time-scale';

/**
 * An instant without loss: whole microseconds since the Unix epoch, and what is left in units of 10^-9 s. Both are exact
 * as doubles, where nanoseconds since 1970 would not be.
 */
export interface TimeScale extends EventTimeScale {
  /** Of the instants as they leave: that of the batch, or microseconds where the segment's offset needs them. */
  unitExponent: number;
  nanosPerUnit: number;
}

/** How the instants of a batch lie on the Unix time line. `offsetUs` is what was added at ingest. */
export function timeScale(batch: { unitExponent: number; baseTime: bigint }, offsetUs: number): TimeScale {
  const { unitExponent } = batch;
  const scale: TimeScale = { ...newEventTimeScale(), unitExponent, nanosPerUnit: 0 };
  setEventTimeScale(batch, offsetUs, scale);
  if (unitExponent > MICRO) scale.nanosPerUnit = 1000 / scale.unitsPerUs;
  else if (offsetUs % scale.usPerUnit !== 0) scale.unitExponent = MICRO;
  return scale;
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
