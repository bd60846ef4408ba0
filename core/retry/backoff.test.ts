import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock/random.js';
import { Backoff, nextDelayMs } from './backoff.js';

const policy = { baseMs: 100, capMs: 10_000 };

describe('a back-off', () => {
  it('doubles its window up to the cap', () => {
    const nearlyOne = () => 1 - 2 ** -32;
    const windows = Array.from({ length: 9 }, (_, attempt) => Math.round(nextDelayMs(attempt, nearlyOne, policy)));
    expect(windows).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    expect(nextDelayMs(100_000, nearlyOne, policy)).toBeLessThanOrEqual(10_000);
  });

  it('keeps its whole jitter at the cap, with and without a hint of the server', () => {
    const random = seededRandom(5);
    for (const floorMs of [0, 20_000]) {
      const delays = Array.from({ length: 1000 }, () => nextDelayMs(50, random, policy, floorMs) - floorMs);
      expect(Math.min(...delays)).toBeLessThan(500);
      expect(Math.max(...delays)).toBeGreaterThan(9500);
    }
  });

  it('never waits less than the server asked, nor more than an hour and the cap', () => {
    fc.assert(
      fc.property(
        fc.nat(5000),
        fc.double({ min: 0, max: 1, maxExcluded: true }),
        fc.nat(10 ** 9),
        (attempt, chance, floorMs) => {
          const delayMs = nextDelayMs(attempt, () => chance, policy, floorMs);
          expect(delayMs).toBeGreaterThanOrEqual(Math.min(floorMs, 3_600_000));
          expect(delayMs).toBeLessThanOrEqual(3_600_000 + policy.capMs);
        },
      ),
      { seed: 3 },
    );
  });

  it('forgets its failures at a success', () => {
    const backoff = new Backoff(() => 0.5, policy);
    expect([backoff.failed(), backoff.failed(), backoff.failed(1000)]).toEqual([50, 100, 1200]);
    expect(backoff.attempt).toBe(3);
    backoff.succeeded();
    expect(backoff.failed()).toBe(50);
  });
});
