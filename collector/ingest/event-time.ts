import type { Batch } from '@tributary/proto/batch/batch';

/**
 * How a batch's instants become microseconds since the Unix epoch: with units of a microsecond or more
 * `baseUs + instant * usPerUnit`, with finer ones `baseUs + floor((remainder + instant) / unitsPerUs)`, exactly as long as
 * the result is a safe integer.
 */
export interface EventTimeScale {
  baseUs: number;
  usPerUnit: number;
  /** 1 where a unit is a microsecond or more. */
  unitsPerUs: number;
  /** Units of the base time that are no whole microsecond. */
  remainder: number;
}

/** The unit of a batch is 10^-n s; from this n on it is a microsecond or finer. */
const MICROSECOND_EXPONENT = 6;

/** Fills `scale` for a batch whose segment's offset to wall time is `offsetUs`. */
export function setEventTimeScale(batch: Batch, offsetUs: number, scale: EventTimeScale): void {
  const finer = batch.unitExponent - MICROSECOND_EXPONENT;
  if (finer <= 0) {
    scale.usPerUnit = 10 ** -finer;
    scale.unitsPerUs = 1;
    scale.remainder = 0;
    scale.baseUs = Number(batch.baseTime) * scale.usPerUnit + offsetUs;
    return;
  }
  // A base in nanoseconds is beyond 2^53; the division must be exact, and there is one a batch.
  const unitsPerUs = 10 ** finer;
  const divisor = BigInt(unitsPerUs);
  scale.usPerUnit = 1;
  scale.unitsPerUs = unitsPerUs;
  scale.remainder = Number(batch.baseTime % divisor);
  scale.baseUs = Number(batch.baseTime / divisor) + offsetUs;
}

/** One instant of a batch in microseconds since the Unix epoch, rounded down. */
export function eventUs(scale: EventTimeScale, instant: number): number {
  return scale.unitsPerUs === 1
    ? scale.baseUs + instant * scale.usPerUnit
    : scale.baseUs + Math.floor((scale.remainder + instant) / scale.unitsPerUs);
}

/** First and last event time of a batch; `any` is false for a batch without rows. */
export interface EventTimeSpan {
  firstUs: number;
  lastUs: number;
  any: boolean;
}

const scratch: EventTimeScale = { baseUs: 0, usPerUnit: 1, unitsPerUs: 1, remainder: 0 };

/** Finds the span of a batch. Order is kept by the scale, so only two instants are converted. */
export function findEventTimeSpan(batch: Batch, offsetUs: number, span: EventTimeSpan): void {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const { times, rows } of batch.groups) {
    for (let row = 0; row < rows; row++) {
      const time = times[row];
      if (time < least) least = time;
      if (time > greatest) greatest = time;
    }
  }
  span.any = least <= greatest;
  if (!span.any) return;
  setEventTimeScale(batch, offsetUs, scratch);
  span.firstUs = eventUs(scratch, least);
  span.lastUs = eventUs(scratch, greatest);
}
