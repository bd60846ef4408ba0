import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commonRanges, countOf, normalRanges, pushSequence, rangeOf, rangesWithout } from './sequence-ranges.js';

const someRanges = fc.array(
  fc.record({ first: fc.integer({ min: 1, max: 40 }), last: fc.integer({ min: 1, max: 40 }) }),
  {
    maxLength: 6,
  },
);

function members(ranges: readonly { first: number; last: number }[]): Set<number> {
  const set = new Set<number>();
  for (const range of ranges) for (let s = range.first; s <= range.last; s++) set.add(s);
  return set;
}

describe('sequence ranges', () => {
  it('are sets of sequences', () => {
    fc.assert(
      fc.property(someRanges, someRanges, (a, b) => {
        const [x, y] = [normalRanges(a), normalRanges(b)];
        const [setX, setY] = [members(a), members(b)];
        expect(members(x)).toEqual(setX);
        expect(countOf(x)).toBe(setX.size);
        expect(members(commonRanges(x, y))).toEqual(new Set([...setX].filter((s) => setY.has(s))));
        expect(members(rangesWithout(x, y))).toEqual(new Set([...setX].filter((s) => !setY.has(s))));
        for (let s = 1; s <= 40; s++) expect(rangeOf(x, s) !== undefined).toBe(setX.has(s));
      }),
    );
  });

  it('are in order and neither overlap nor touch', () => {
    fc.assert(
      fc.property(someRanges, (a) => {
        const ranges = normalRanges(a);
        for (let i = 1; i < ranges.length; i++) expect(ranges[i].first).toBeGreaterThan(ranges[i - 1].last + 1);
      }),
    );
  });

  it('grow at the end', () => {
    const ranges: { first: number; last: number }[] = [];
    for (const sequence of [3, 4, 7]) pushSequence(ranges, sequence);
    expect(ranges).toEqual([
      { first: 3, last: 4 },
      { first: 7, last: 7 },
    ]);
  });
});
