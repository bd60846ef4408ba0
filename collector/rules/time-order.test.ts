import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimeOrder } from './time-order.js';

describe('the order of times', () => {
  it('is that of a stable sort, whatever was sorted before', () => {
    const order = new TimeOrder();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 3000 }), (times) => {
        const found = Array.from(order.of(Float64Array.from(times), times.length).subarray(0, times.length));
        const expected = times.map((_, at) => at).sort((a, b) => times[a]! - times[b]! || a - b);
        expect(found).toEqual(expected);
      }),
      { seed: 20261126, numRuns: 200 },
    );
  });
});
