import type { Clock } from '@tributary/core/clock/clock';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { describe, expect, it } from 'vitest';
import { continues, estimatedSegment, jumped, observedSegment } from './time-segment.js';

const clock = (wallUs: number, monotonicUs: number): Clock => ({
  wallUs: () => wallUs,
  monotonicUs: () => monotonicUs,
});

describe('a time segment', () => {
  it('says what the wall clock is beyond the monotonic one, and who vouches for it', () => {
    const unknown = observedSegment(clock(5_000_000, 2_000_000), 'boot', '/nonexistent');
    expect(unknown).toMatchObject({ offsetUs: 3_000_000, observedAtUs: 2_000_000, state: ClockState.UNSYNCHRONIZED });
    const known = observedSegment(clock(5_000_000, 2_000_000), 'boot', '/dev/null');
    expect(known.state).toBe(ClockState.SYNCHRONIZED);
    expect(known.uncertaintyUs).toBeLessThan(unknown.uncertaintyUs);
  });

  it('is estimated from an exchange, uncertain by half the round trip', () => {
    const comparison = { sentUs: 1000, answeredUs: 1600, collectorReceivedUs: 9_000_300, collectorSentUs: 9_000_400 };
    expect(estimatedSegment(comparison, 'boot')).toEqual({
      bootId: 'boot',
      offsetUs: 8_999_050,
      observedAtUs: 1600,
      uncertaintyUs: 250,
      state: ClockState.ESTIMATED,
    });
  });

  it('is not estimated from an exchange that cannot be', () => {
    expect(estimatedSegment({ sentUs: 1, answeredUs: 2, collectorReceivedUs: 0, collectorSentUs: 0 }, 'b')).toBe(
      undefined,
    );
    expect(estimatedSegment({ sentUs: 5, answeredUs: 9, collectorReceivedUs: 90, collectorSentUs: 80 }, 'b')).toBe(
      undefined,
    );
    expect(estimatedSegment({ sentUs: 5, answeredUs: 9, collectorReceivedUs: 10, collectorSentUs: 80 }, 'b')).toBe(
      undefined,
    );
  });

  it('goes on until the clock is set, better known, or the machine boots', () => {
    const plain = observedSegment(clock(5e6, 2e6), 'boot', '/nonexistent');
    const later = observedSegment(clock(7e6 + 400_000, 4e6), 'boot', '/nonexistent');
    const stepped = observedSegment(clock(9e6, 4e6), 'boot', '/nonexistent');
    expect(continues(plain, later)).toBe(true);
    expect(jumped(plain, later)).toBe(false);
    expect(continues(plain, stepped)).toBe(false);
    expect(jumped(plain, stepped)).toBe(true);
    expect(continues(plain, { ...later, bootId: 'other' })).toBe(false);
    expect(continues(plain, { ...later, state: ClockState.ESTIMATED })).toBe(false);
    expect(continues({ ...plain, state: ClockState.ESTIMATED }, stepped)).toBe(true);
  });
});
