import { describe, expect, it } from 'vitest';
import { seededRandom } from './random.js';

function take(seed: number, count: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, random);
}

describe('a seeded generator', () => {
  it('replays its seed, and neighbouring seeds differ', () => {
    expect(take(42, 100)).toEqual(take(42, 100));
    expect(take(42, 5)).not.toEqual(take(43, 5));
    expect(take(1, 5)).not.toEqual(take(1 + 2 ** 32, 5));
    expect(take(0.5, 5)).toHaveLength(5);
  });

  it('is uniform over [0, 1)', () => {
    const buckets = new Array<number>(16).fill(0);
    for (const value of take(7, 160_000)) {
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 16)] += 1;
    }
    // Chi-squared with 15 degrees of freedom; 37.7 is exceeded once in a thousand seeds.
    const chiSquared = buckets.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chiSquared).toBeLessThan(37.7);
  });

  it('never settles into a state, whatever the seed', () => {
    for (const seed of [0, -1, 2 ** 53, Number.MIN_SAFE_INTEGER]) expect(new Set(take(seed, 1000)).size).toBe(1000);
  });
});
