import { describe, expect, it } from 'vitest';
import { RateLimit } from './rate-limit.js';

const policy = { perWindow: 2, windowMs: 1000, keysMax: 3 };

describe('a rate limit', () => {
  it('passes the first reports of a window and tells later how many it held back', () => {
    const limit = new RateLimit(policy);
    const said = [0, 1, 2, 3, 999].map((nowMs) => limit.admit('noise', nowMs).report);
    expect(said).toEqual([true, true, false, false, false]);
    expect(limit.admit('noise', 1000)).toEqual({ report: true, suppressed: 3 });
    expect(limit.admit('noise', 1001)).toEqual({ report: true, suppressed: 0 });
  });

  it('counts each key by itself', () => {
    const limit = new RateLimit(policy);
    for (let round = 0; round < 5; round += 1) limit.admit('a', 0);
    expect(limit.admit('b', 0).report).toBe(true);
  });

  it('sums up what was held back when a window ended in silence', () => {
    const limit = new RateLimit(policy);
    for (let round = 0; round < 5; round += 1) limit.admit('a', 0);
    limit.admit('b', 0);
    expect(limit.summaries(999)).toEqual([]);
    expect(limit.summaries(1000)).toEqual([{ key: 'a', suppressed: 3 }]);
    expect(limit.summaries(2000)).toEqual([]);
  });

  it('remembers a bounded number of keys; the others share one', () => {
    const limit = new RateLimit(policy);
    for (let key = 0; key < 1000; key += 1) limit.admit(`key ${key}`, 0);
    expect(limit.summaries(1000)).toEqual([{ key: '(other)', suppressed: 995 }]);
  });
});
