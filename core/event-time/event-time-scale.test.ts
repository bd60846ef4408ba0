import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventTimes, eventUs, newEventTimeScale, setEventTimeScale, unitsBeyondUs } from './event-time-scale.js';

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
          const scale = newEventTimeScale();
          setEventTimeScale({ unitExponent, baseTime }, offsetUs, scale);
          const exact = exactUs(unitExponent, baseTime, step, offsetUs);
          expect(BigInt(eventUs(scale, step))).toBe(exact);
          const out = new Float64Array(2);
          expect(eventTimes(scale, [step, step], 2, out)).toBe(false);
          expect([...out]).toEqual([Number(exact), Number(exact)]);
          // With what is beyond the microsecond the instant is whole again.
          if (unitExponent > 6) {
            const unitsPerUs = 10n ** BigInt(unitExponent - 6);
            const units = (exact - BigInt(offsetUs)) * unitsPerUs + BigInt(unitsBeyondUs(scale, step));
            expect(units).toBe(baseTime + BigInt(step));
          } else expect(unitsBeyondUs(scale, step)).toBe(0);
        },
      ),
      { seed: 1 },
    );
  });
});
