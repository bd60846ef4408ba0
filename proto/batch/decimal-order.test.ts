import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalOfOrder, orderOfDecimal } from './decimal-order.js';

describe('the order of decimal numbers with so many significant digits', () => {
  it('counts 4 digits and 3 decimals without a gap', () => {
    const around = [0, 1, 9999, 10_000, 10_001, 18_999, 19_000, 19_001, -9999, -10_000];
    const values = around.map((order) => decimalOfOrder(order, 4, 3));
    expect(values).toEqual([0, 0.001, 9.999, 10, 10.01, 99.99, 100, 100.1, -9.999, -10]);
    expect(values.map((value) => orderOfDecimal(value, 4, 3))).toEqual(around);
  });

  it('gives back every number with those digits, and keeps their order', () => {
    const number = fc.tuple(fc.integer({ min: -9_999_999, max: 9_999_999 }), fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(number, number, ([a, p], [b, q]) => {
        const left = a / 10 ** p;
        const right = b / 10 ** q;
        const order = orderOfDecimal(left, 7, 9);
        expect(decimalOfOrder(order, 7, 9) === left).toBe(true);
        expect(Math.sign(order - orderOfDecimal(right, 7, 9))).toBe(Math.sign(left - right));
      }),
      { seed: 3 },
    );
  });
});
