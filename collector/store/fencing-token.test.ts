import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextFencingToken } from './fencing-token.js';

describe('a fencing token', () => {
  it('grows with each start, for as long as any device lives', () => {
    const starts = fc.array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(starts, fc.nat(2 ** 31), (ids, startsBefore) => {
        let token = startsBefore * 2 ** 20;
        for (const id of ids) {
          const next = nextFencingToken(token, id);
          expect(next).toBeGreaterThan(token);
          expect(Number.isSafeInteger(next)).toBe(true);
          token = next;
        }
      }),
      { seed: 47 },
    );
  });

  it('is another one for another start after a store went back in time, and the same for the same', () => {
    const [one, other] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
    const backedUp = nextFencingToken(0, new Uint8Array(16));
    expect(nextFencingToken(backedUp, one)).not.toBe(nextFencingToken(backedUp, other));
    expect(nextFencingToken(backedUp, one)).toBe(nextFencingToken(backedUp, one));
  });
});
