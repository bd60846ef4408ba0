import { SegmentLine } from '@tributary/core/clock/clock-observation';
import { type ClockAnchor, ClockState, type SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasUnplaced, placeSegments } from './place-segments.js';

const { SYNCHRONIZED, ESTIMATED, PLACED, UNSYNCHRONIZED } = ClockState;
const second = 1_000_000;

/** Segments as an agent would have declared them: in seconds, with where each line began and ended. */
class Lines {
  readonly segments: SegmentDeclaration[] = [];
  readonly anchors: ClockAnchor[] = [];

  add(state: ClockState, first: number, last: number, offset = 0, uncertaintyUs = 0): this {
    const id = this.segments.length + 1;
    const offsetUs = offset * second;
    const observedAtUs = first * second;
    this.segments.push({ id, bootId: `boot-${id}`, observedAtUs, offsetUs, uncertaintyUs, state });
    return this.anchor({ segment: id, atUs: last * second, offsetUs, uncertaintyUs: 0, state: UNSYNCHRONIZED });
  }

  anchor(anchor: Omit<ClockAnchor, 'id'>): this {
    this.anchors.push({ ...anchor, id: this.anchors.length + 1 });
    return this;
  }

  place() {
    return placeSegments(this.segments, this.anchors, this.segments.length);
  }

  /** Places what can be, and answers where each line lies in wall time, in seconds. */
  placed(): [number, number][] {
    for (const anchor of this.place()) this.anchor(anchor);
    return this.segments.map((segment) => {
      const of = this.anchors.filter(({ segment: id }) => id === segment.id);
      const line = new SegmentLine(segment, of);
      const wall = (us: number) => (us + line.at(us).offsetUs) / second;
      return [wall(segment.observedAtUs), wall(line.lastUs)];
    });
  }
}

describe('boots that never knew the time', () => {
  it('are placed between their neighbours, the time that is left over spread evenly', () => {
    const lines = new Lines()
      .add(SYNCHRONIZED, 10, 110, 1000, 5)
      .add(UNSYNCHRONIZED, 10, 40)
      .add(UNSYNCHRONIZED, 20, 30)
      .add(ESTIMATED, 10, 20, 1990, 7);
    expect(hasUnplaced(lines.segments, lines.anchors, 4)).toBe(true);
    // From 1110 to 2000 are 890 s; 40 of them were lived, so there are 850 in three gaps.
    const gap = 850 / 3;
    const found = lines.place();
    expect(found.map(({ segment, state }) => [segment, state])).toEqual([
      [2, PLACED],
      [3, PLACED],
    ]);
    for (const { uncertaintyUs } of found) expect(uncertaintyUs).toBeCloseTo((850 * second * 2) / 3 + 12, -1);
    const walls = lines.placed();
    expect(walls[1][0]).toBeCloseTo(1110 + gap, 4);
    expect(walls[2][0]).toBeCloseTo(1110 + gap + 30 + gap, 4);
    expect(walls[3][0] - walls[2][1]).toBeCloseTo(gap, 4);
    expect(lines.place()).toEqual([]);
    expect(hasUnplaced(lines.segments, lines.anchors, 4)).toBe(false);
  });

  it('are placed right before what follows when nothing is known from before them', () => {
    const lines = new Lines().add(UNSYNCHRONIZED, 10, 40).add(UNSYNCHRONIZED, 20, 30).add(SYNCHRONIZED, 10, 20, 1990);
    expect(lines.place().every(({ uncertaintyUs }) => uncertaintyUs >= 86_400 * second)).toBe(true);
    expect(lines.placed()).toEqual([
      [1958, 1988],
      [1989, 1999],
      [2000, 2010],
    ]);
  });

  it('wait while nobody knows the time', () => {
    const lines = new Lines().add(SYNCHRONIZED, 0, 9, 1000).add(UNSYNCHRONIZED, 0, 9).add(UNSYNCHRONIZED, 0, 9);
    expect(lines.place()).toEqual([]);
  });

  it('keep their order before what follows when the clocks contradict each other', () => {
    const lines = new Lines()
      .add(SYNCHRONIZED, 0, 100, 1000)
      .add(UNSYNCHRONIZED, 0, 50)
      .add(UNSYNCHRONIZED, 0, 50)
      .add(ESTIMATED, 0, 10, 1120);
    const [, second, third, last] = lines.placed();
    expect([second[1], third[1]]).toEqual([third[0], last[0]]);
  });

  it('lie in order, each with its length, however many there are and whatever was placed before', () => {
    const stretch = fc.record({
      gap: fc.integer({ min: 2, max: 9000 }),
      length: fc.integer({ min: 0, max: 9000 }),
      kind: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(stretch, { minLength: 1, maxLength: 12 }), (stretches) => {
        const lines = new Lines();
        let now = 1e6;
        const truth: [number, number][] = [];
        for (const [at, { gap, length, kind }] of stretches.entries()) {
          now += gap;
          const isLast = at === stretches.length - 1;
          const [state, offset]: [ClockState, number] =
            isLast || kind === 0 ? [SYNCHRONIZED, now - 5] : [UNSYNCHRONIZED, -7e6];
          lines.add(state, 5, 5 + length, offset);
          if (kind === 0) lines.placed();
          truth.push([now, now + length]);
          now += length;
        }
        const walls = lines.placed();
        const firstKnown = lines.segments.findIndex(({ state }) => state === SYNCHRONIZED);
        for (const [at, [first, last]] of walls.entries()) {
          expect(last - first).toBeCloseTo(truth[at][1] - truth[at][0], 3);
          if (at > 0) expect(first).toBeGreaterThan(walls[at - 1][1]);
          const placed = lines.anchors.find(({ segment, state }) => segment === at + 1 && state === PLACED);
          if (placed !== undefined && at > firstKnown) {
            expect(Math.abs(first - truth[at][0]) * second).toBeLessThanOrEqual(placed.uncertaintyUs + 2);
          }
        }
      }),
      { seed: 39 },
    );
  });
});
