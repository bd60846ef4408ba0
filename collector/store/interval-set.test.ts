import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntervalSet } from './interval-set.js';

describe('IntervalSet', () => {
  it('merges what touches and says which intervals went', () => {
    const set = new IntervalSet();
    expect(set.add(1, 3)).toEqual({ removed: [], first: 1, last: 3 });
    expect(set.add(7, 9)).toEqual({ removed: [], first: 7, last: 9 });
    expect(set.add(4, 6)).toEqual({ removed: [1, 7], first: 1, last: 9 });
    expect(set.toRanges()).toEqual([{ first: 1, last: 9 }]);
  });

  it('behaves like a plain set of numbers', () => {
    const range = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 8 }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), range, (additions, [askedFirst, askedLength]) => {
        const set = new IntervalSet();
        const naive = new Set<number>();
        // The rows that a store would keep, maintained from the changes alone.
        const rows = new Map<number, number>();
        for (const [first, length] of additions) {
          const change = set.add(first, first + length);
          for (const removed of change.removed) rows.delete(removed);
          rows.set(change.first, change.last);
          for (let sequence = first; sequence <= first + length; sequence++) naive.add(sequence);
        }
        const ranges = set.toRanges();
        expect([...rows].sort((a, b) => a[0] - b[0])).toEqual(ranges.map(({ first, last }) => [first, last]));
        const spelled = ranges.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        );
        expect(spelled).toEqual([...naive].sort((a, b) => a - b));
        for (let at = 1; at < ranges.length; at++) expect(ranges[at].first).toBeGreaterThan(ranges[at - 1].last + 1);
        for (let sequence = 0; sequence < 72; sequence++) expect(set.has(sequence)).toBe(naive.has(sequence));
        const asked = Array.from({ length: askedLength + 1 }, (_, i) => askedFirst + i);
        expect(set.overlaps(askedFirst, askedFirst + askedLength)).toBe(asked.some((sequence) => naive.has(sequence)));
      }),
      { seed: 20_260_721, numRuns: 500 },
    );
  });
});
