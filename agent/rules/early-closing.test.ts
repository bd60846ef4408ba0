import { describe, expect, it } from 'vitest';
import { EarlyClosing } from './early-closing.js';

describe('closing early', () => {
  it('is allowed a few times at once, then once in ten seconds', () => {
    const closing = new EarlyClosing();
    const taken = (fromS: number, untilS: number) => {
      let count = 0;
      for (let ms = fromS * 1000; ms < untilS * 1000; ms += 100) if (closing.take(ms * 1000)) count++;
      return count;
    };
    expect(taken(0, 5)).toBe(16);
    expect(taken(5, 10)).toBe(0);
    expect(taken(10, 110)).toBe(10);
    expect(taken(1000, 1005)).toBe(16);
  });
});
