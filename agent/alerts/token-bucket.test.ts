import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.js';

describe('a token bucket', () => {
  it('lets so many through at once, then as fast as it fills, and keeps no more than it holds', () => {
    const bucket = new TokenBucket({ count: 3, perMs: 30_000 });
    const taken = (nowMs: number) => {
      let count = 0;
      while (bucket.take(nowMs)) count++;
      return count;
    };
    expect(taken(5)).toBe(3);
    expect(bucket.readyAtMs(5)).toBe(10_005);
    expect(taken(10_004)).toBe(0);
    expect(bucket.readyAtMs(10_004)).toBeCloseTo(10_005);
    expect(taken(10_005)).toBe(1);
    expect(taken(30_005)).toBe(2);
    expect(taken(1e9)).toBe(3);
  });

  it('has a token at the time that it names, whatever the rounding', () => {
    const bucket = new TokenBucket({ count: 7, perMs: 1_000 });
    let nowMs = 0.1;
    for (let at = 0; at < 7; at++) expect(bucket.take(nowMs)).toBe(true);
    for (let at = 0; at < 1_000; at++) {
      nowMs = bucket.readyAtMs(nowMs);
      expect(bucket.take(nowMs)).toBe(true);
    }
    expect(nowMs).toBeCloseTo(1_000_000 / 7, 0);
  });
});
