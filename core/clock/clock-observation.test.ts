import { ClockState, type SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anchorsBySegment, clockRank, isVouched, SegmentLine } from './clock-observation.js';

const { SYNCHRONIZED, ESTIMATED, PLACED, UNSYNCHRONIZED, UNSPECIFIED } = ClockState;

const segment = (state: ClockState, observedAtUs = 0, offsetUs = 0, uncertaintyUs = 0): SegmentDeclaration => ({
  id: 1,
  bootId: 'b',
  offsetUs,
  observedAtUs,
  uncertaintyUs,
  state,
});
let ids = 0;
const anchor = (state: ClockState, atUs: number, offsetUs: number, uncertaintyUs = 0) => ({
  id: ++ids,
  segment: 1,
  atUs,
  offsetUs,
  uncertaintyUs,
  state,
});

describe('what is known of a segment', () => {
  it('is ranked by who vouches for it, then by whether it is good to a second', () => {
    const order = [SYNCHRONIZED, ESTIMATED, PLACED, UNSYNCHRONIZED, UNSPECIFIED].flatMap((state) => [
      clockRank({ state, uncertaintyUs: 1_000_000 }),
      clockRank({ state, uncertaintyUs: 1_000_001 }),
    ]);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(new Set(order).size).toBe(order.length);
    expect([SYNCHRONIZED, ESTIMATED, PLACED, UNSYNCHRONIZED].map((state) => isVouched({ state }))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('is the latest of the best before a moment, else the earliest after it', () => {
    const line = new SegmentLine(segment(UNSYNCHRONIZED, 0, -1), [
      anchor(ESTIMATED, 10, 100),
      anchor(SYNCHRONIZED, 30, 300),
      anchor(UNSYNCHRONIZED, 90, -9),
      anchor(SYNCHRONIZED, 20, 200),
      anchor(SYNCHRONIZED, 30, 301),
      anchor(ESTIMATED, 40, 400),
    ]);
    expect([-5, 0, 19, 20, 29, 30, 1e9].map((us) => line.at(us).offsetUs)).toEqual([200, 200, 200, 200, 200, 301, 301]);
    expect(line.lastUs).toBe(90);
  });

  it('takes an estimate that is good to a second rather than one that is not, whenever each was made', () => {
    const line = new SegmentLine(segment(ESTIMATED, 50, 500, 5_000_000), [anchor(ESTIMATED, 60, 600, 20_000)]);
    expect([0, 55, 70].map((us) => line.at(us).offsetUs)).toEqual([600, 600, 600]);
  });

  it('is the same as a search through all of it', () => {
    const any = fc.record({
      atUs: fc.integer({ min: 0, max: 20 }),
      offsetUs: fc.integer(),
      uncertaintyUs: fc.constantFrom(0, 2_000_000),
      state: fc.constantFrom(SYNCHRONIZED, ESTIMATED, PLACED, UNSYNCHRONIZED),
    });
    fc.assert(
      fc.property(any, fc.array(any), fc.integer({ min: -1, max: 21 }), (first, rest, us) => {
        const { atUs: observedAtUs, ...declared } = first;
        const anchors = rest.map((one, at) => ({ ...one, id: at + 1, segment: 1 }));
        const rank = Math.min(...[first, ...rest].map(clockRank));
        const best = [first, ...anchors].filter((one) => clockRank(one) === rank);
        const before = best.filter(({ atUs }) => atUs <= us);
        const latest = Math.max(...before.map(({ atUs }) => atUs));
        const earliest = Math.min(...best.map(({ atUs }) => atUs));
        const expected =
          before.findLast(({ atUs }) => atUs === latest) ?? best.findLast(({ atUs }) => atUs === earliest);
        const line = new SegmentLine({ id: 1, bootId: 'b', observedAtUs, ...declared }, anchors);
        const found = line.at(us);
        if (before.length > 0) expect(found).toEqual(expect.objectContaining({ offsetUs: expected?.offsetUs }));
        else expect(found.atUs).toBe(earliest);
      }),
      { seed: 38 },
    );
  });

  it('finds the anchors of each segment', () => {
    const [a, b, c] = [anchor(SYNCHRONIZED, 1, 1), { ...anchor(ESTIMATED, 1, 1), segment: 2 }, anchor(ESTIMATED, 2, 2)];
    expect([...anchorsBySegment([undefined, a, b, c])]).toEqual([
      [1, [a, c]],
      [2, [b]],
    ]);
  });
});
