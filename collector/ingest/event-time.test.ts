import type { Batch } from '@tributary/proto/batch/batch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EventTimeSpan, eventUs, findEventTimeSpan, setEventTimeScale } from './event-time.js';

function batchOf(unitExponent: number, baseTime: bigint, times: number[]): Batch {
  return {
    segment: 0,
    unitExponent,
    baseTime,
    readings: 0,
    groups: [{ rows: times.length, times: Float64Array.from(times), columns: [] }],
  };
}

/** Rounded down, in exact arithmetic. */
function exactUs(unitExponent: number, baseTime: bigint, instant: number, offsetUs: number): bigint {
  const units = baseTime + BigInt(instant);
  if (unitExponent <= 6) return units * 10n ** BigInt(6 - unitExponent) + BigInt(offsetUs);
  const divisor = 10n ** BigInt(unitExponent - 6);
  const quotient = units / divisor;
  return (units % divisor < 0n ? quotient - 1n : quotient) + BigInt(offsetUs);
}

describe('event time', () => {
  it('is exact in every unit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: -4_000_000_000, max: 4_000_000_000 }),
        fc.integer({ min: -999_999_999, max: 999_999_999 }),
        fc.integer({ min: 0, max: 1_000_000_000 }),
        fc.integer({ min: -1_000_000, max: 1_000_000 }),
        (unitExponent, seconds, fraction, instant, offsetUs) => {
          const scaledFraction = Math.trunc(fraction / 10 ** (9 - unitExponent));
          const baseTime = BigInt(seconds) * 10n ** BigInt(unitExponent) + BigInt(scaledFraction);
          const step = unitExponent < 6 ? instant % 10 ** unitExponent : instant;
          const scale = { baseUs: 0, usPerUnit: 1, unitsPerUs: 1, remainder: 0 };
          setEventTimeScale(batchOf(unitExponent, baseTime, []), offsetUs, scale);
          expect(BigInt(eventUs(scale, step))).toBe(exactUs(unitExponent, baseTime, step, offsetUs));
        },
      ),
      { seed: 1 },
    );
  });

  it('of a batch spans all its rows, in whatever order they are', () => {
    const span: EventTimeSpan = { firstUs: 0, lastUs: 0, any: false };
    findEventTimeSpan(batchOf(3, 1_700_000_000_000n, [5, -2, 9, 0]), 7, span);
    expect(span).toEqual({ firstUs: 1_699_999_999_998_007, lastUs: 1_700_000_000_009_007, any: true });
    findEventTimeSpan(batchOf(3, 0n, []), 0, span);
    expect(span.any).toBe(false);
  });
});
