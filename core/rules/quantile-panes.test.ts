import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuantilePanes } from './quantile-panes.js';

function nearestRank(values: readonly number[], quantile: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(quantile * values.length) - 1)]!;
}

describe('a quantile over panes', () => {
  it('is the nearest rank over the newest panes', () => {
    const pane = fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 30 });
    const quantile = fc.constantFrom(0, 0.05, 0.5, 0.95, 1);
    fc.assert(
      fc.property(fc.array(pane, { minLength: 1, maxLength: 9 }), quantile, (all, q) => {
        const panes = new QuantilePanes(q, 3);
        for (const [index, values] of all.entries()) {
          if (index > 0) panes.turn();
          for (const value of values) panes.add(value);
        }
        const values = all.slice(-3).flat();
        if (values.length === 0) expect(panes.combine()).toBeNaN();
        else expect(panes.combine()).toBe(nearestRank(values, q));
      }),
      { seed: 1 },
    );
  });

  it('of more readings than it keeps is that of an even choice of them', () => {
    const panes = new QuantilePanes(0.9, 2);
    for (let value = 0; value < 100_000; value += 1) panes.add(value);
    expect(Math.abs(panes.combine() - 90_000)).toBeLessThan(200);
    // A pane of few readings weighs as much as it has, however many stand for the other.
    panes.turn();
    for (let index = 0; index < 25_000; index += 1) panes.add(1e6);
    expect(panes.combine()).toBe(1e6);
    expect(panes.save().length).toBeLessThanOrEqual(2048 + 2 * 3);
  });

  it('goes on from what was saved', () => {
    const panes = new QuantilePanes(0.5, 3);
    for (let index = 0; index < 5000; index += 1) panes.add((index * 7919) % 1000);
    panes.turn();
    for (const value of [1, 2, 3]) panes.add(value);
    const again = new QuantilePanes(0.5, 3);
    again.restore(panes.save());
    for (const one of [panes, again]) {
      one.turn();
      for (let index = 0; index < 3000; index += 1) one.add(index);
    }
    expect(again.combine()).toBe(panes.combine());
    expect(again.save()).toEqual(panes.save());
  });
});
