import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimate } from './clock-exchange.js';

describe('an exchange with the collector', () => {
  it('tells the offset, uncertain by half the round trip', () => {
    const exchange = { sentUs: 1000, answeredUs: 1600, collectorReceivedUs: 9_000_300, collectorSentUs: 9_000_400 };
    expect(estimate(exchange)).toEqual({
      atUs: 1600,
      offsetUs: 8_999_050,
      uncertaintyUs: 250,
      state: ClockState.ESTIMATED,
    });
  });

  it('is never off by more than it says, however unequal the ways are', () => {
    const span = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(span, span, span, fc.integer({ min: 1, max: 2e15 }), (there, work, back, offsetUs) => {
        const collectorReceivedUs = offsetUs + there;
        const found = estimate({
          sentUs: 0,
          answeredUs: there + work + back,
          collectorReceivedUs,
          collectorSentUs: collectorReceivedUs + work,
        });
        expect(Math.abs((found?.offsetUs ?? 0) - offsetUs)).toBeLessThanOrEqual((found?.uncertaintyUs ?? 0) + 1);
      }),
      { seed: 5905 },
    );
  });

  it('says nothing when it cannot have been', () => {
    expect(estimate({ sentUs: 1, answeredUs: 2, collectorReceivedUs: 0, collectorSentUs: 0 })).toBe(undefined);
    expect(estimate({ sentUs: 5, answeredUs: 9, collectorReceivedUs: 90, collectorSentUs: 80 })).toBe(undefined);
    expect(estimate({ sentUs: 5, answeredUs: 9, collectorReceivedUs: 10, collectorSentUs: 80 })).toBe(undefined);
  });
});
