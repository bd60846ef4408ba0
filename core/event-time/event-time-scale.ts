import type { Batch } from '@tributary/proto/batch/batch';

/**
 * How a batch's instants become microseconds since the Unix epoch: with units of a microsecond or more
 * `baseUs + instant * usPerUnit`, with finer ones `baseUs + floor((baseRest + instant) / unitsPerUs)`, exactly as long as
 * the result is a safe integer.
 */
export interface EventTimeScale {
  baseUs: number;
  /** Units of the base time that are no whole microsecond; below zero is as good, since what it is added to is rounded. */
  baseRest: number;
  usPerUnit: number;
  /** 1 where a unit is a microsecond or more. */
  unitsPerUs: number;
}

/** The unit of a batch is 10^-n s; from this n on it is a microsecond or finer. */
export const MICROSECOND_EXPONENT = 6;

export function newEventTimeScale(): EventTimeScale {
  return { baseUs: 0, baseRest: 0, usPerUnit: 1, unitsPerUs: 1 };
}

/** Fills `scale` for a batch whose segment's offset to wall time is `offsetUs`, in whole microseconds. */
export function setEventTimeScale(
  batch: Pick<Batch, 'unitExponent' | 'baseTime'>,
  offsetUs: number,
  scale: EventTimeScale,
): void {
  const finer = batch.unitExponent - MICROSECOND_EXPONENT;
  if (finer <= 0) {
    scale.usPerUnit = 10 ** -finer;
    scale.unitsPerUs = 1;
    scale.baseRest = 0;
    scale.baseUs = Number(batch.baseTime) * scale.usPerUnit + offsetUs;
    return;
  }
  // A base in nanoseconds is beyond 2^53; the division must be exact, and there is one a batch.
  const unitsPerUs = 10 ** finer;
  const divisor = BigInt(unitsPerUs);
  scale.usPerUnit = 1;
  scale.unitsPerUs = unitsPerUs;
  scale.baseRest = Number(batch.baseTime % divisor);
  scale.baseUs = Number(batch.baseTime / divisor) + offsetUs;
}

/** One instant of a batch in microseconds since the Unix epoch, rounded down. */
export function eventUs(scale: EventTimeScale, instant: number): number {
  return scale.unitsPerUs === 1
    ? scale.baseUs + instant * scale.usPerUnit
    : scale.baseUs + Math.floor((scale.baseRest + instant) / scale.unitsPerUs);
}

/** Units of an instant beyond the whole microsecond that `eventUs` answers. */
export function unitsBeyondUs(scale: EventTimeScale, instant: number): number {
  if (scale.unitsPerUs === 1) return 0;
  const units = scale.baseRest + instant;
  return units - Math.floor(units / scale.unitsPerUs) * scale.unitsPerUs;
}

/** The first `rows` instants into `out`, as `eventUs`; whether each is later than the one before. */
export function eventTimes(scale: EventTimeScale, times: ArrayLike<number>, rows: number, out: Float64Array): boolean {
  const { baseUs, baseRest, usPerUnit, unitsPerUs } = scale;
  let before = Number.NEGATIVE_INFINITY;
  let ascending = true;
  if (unitsPerUs === 1) {
    for (let row = 0; row < rows; row += 1) {
      const timeUs = baseUs + times[row]! * usPerUnit;
      if (!(timeUs > before)) ascending = false;
      before = timeUs;
      out[row] = timeUs;
    }
    return ascending;
  }
  for (let row = 0; row < rows; row += 1) {
    const timeUs = baseUs + Math.floor((baseRest + times[row]!) / unitsPerUs);
    if (!(timeUs > before)) ascending = false;
    before = timeUs;
    out[row] = timeUs;
  }
  return ascending;
}
