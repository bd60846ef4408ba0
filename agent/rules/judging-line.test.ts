import { describe, expect, it } from 'vitest';
import { JudgingLine } from './judging-line.js';

/** Clocks that a test sets. */
function clocks(monotonic: number, wall: number) {
  const at = { monotonic, wall };
  return { at, monotonicUs: () => at.monotonic, wallUs: () => at.wall };
}

describe('the judging line', () => {
  it('begins at what the wall clock says, and runs with the monotonic clock', () => {
    const line = new JudgingLine(undefined, clocks(5_000, 1_000_000));
    expect(line.at(5_000)).toBe(1_000_000);
    expect(line.shiftUs(-1, 6_000) + 6_000).toBe(1_001_000);
    expect(line.shiftUs(3, 6_000) + 6_000).toBe(1_001_000);
    expect(line.locate(1_001_000)).toEqual({ segment: 3, us: 6_000 });
  });

  it('goes on from where it was after a start, whatever the clocks say then', () => {
    const first = new JudgingLine(undefined, clocks(5_000, 1_000_000));
    first.shiftUs(3, 6_000);
    const second = new JudgingLine(first.save(9_000), clocks(100, 77));
    expect(second.at(100)).toBe(1_004_001);
    second.shiftUs(4, 100);
    expect(second.locate(1_003_000)).toEqual({ segment: 3, us: 8_000 });
    expect(second.locate(1_004_011)).toEqual({ segment: 4, us: 110 });
  });

  it('goes on through a sleep, and still knows the segment before it', () => {
    const line = new JudgingLine(undefined, clocks(0, 1_000_000));
    line.shiftUs(1, 10);
    line.shiftUs(2, 500);
    expect(line.shiftUs(1, 400) + 400).toBe(1_000_400);
    expect(line.locate(1_000_400)).toEqual({ segment: 1, us: 400 });
    expect(line.locate(1_000_500)).toEqual({ segment: 2, us: 500 });
  });

  it('is moved ahead to the wall clock where a segment begins, and at no other time', () => {
    const first = new JudgingLine(undefined, clocks(5_000, 1_000_000));
    first.shiftUs(1, 5_000);
    const clock = clocks(100, 9_000_000);
    const second = new JudgingLine(first.save(9_000), clock);
    expect(second.at(100)).toBe(9_000_000);
    second.shiftUs(2, 100);
    Object.assign(clock.at, { monotonic: 200, wall: 50_000_000 });
    expect(second.at(200)).toBe(9_000_100);
    expect(second.shiftUs(3, 200) + 200).toBe(50_000_000);
    Object.assign(clock.at, { monotonic: 300, wall: 5 });
    expect(second.shiftUs(4, 300) + 300).toBe(50_000_100);
  });

  it('forgets the oldest of many segments, and dates by the oldest that it knows', () => {
    const line = new JudgingLine(undefined, clocks(0, 1_000_000));
    for (let segment = 1; segment <= 100; segment++) line.shiftUs(segment, segment * 10);
    expect(line.save(2_000).pieces).toHaveLength(64);
    expect(line.locate(1_000_015)).toEqual({ segment: 37, us: 15 });
  });
});
