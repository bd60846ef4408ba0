import { describe, expect, it } from 'vitest';
import { freshState } from './item-table.js';
import { MarkReserve } from './mark-reserve.js';

const epoch = new Uint8Array(16).fill(1);

/** Writes a mark whenever the last is used up; answers the readings that each reserved, and how long each lasted. */
function run(reserve: MarkReserve, batches: number, everyMs: number, readings: number) {
  const state = { ...freshState(epoch) };
  const marks: { atMs: number; readings: number }[] = [];
  let until = { sequence: 0, readings: 0 };
  for (let at = 0; at < batches; at++) {
    if (state.highestSequence + 1 > until.sequence || state.readingsProduced + readings > until.readings) {
      const next = reserve.next(state, at * everyMs);
      until = {
        sequence: state.highestSequence + 1 + next.sequences,
        readings: state.readingsProduced + readings + next.readings,
      };
      marks.push({ atMs: at * everyMs, readings: next.readings });
    }
    state.highestSequence++;
    state.readingsProduced += readings;
  }
  return marks;
}

describe('what a mark reserves', () => {
  it.each([
    ['ten readings a second', 1_000, 10],
    ['a thousand readings ten times a second', 100, 1_000],
    ['a thousand readings each five seconds', 5_000, 1_000],
  ])('lasts for some minutes at %s', (_, everyMs, readings) => {
    const marks = run(new MarkReserve(false), 60_000, everyMs, readings);
    const settled = marks.slice(10);
    expect(settled.length).toBeGreaterThan(3);
    for (const [at, { atMs }] of settled.entries()) {
      const untilMs = settled[at + 1]?.atMs;
      if (untilMs !== undefined) expect(untilMs - atMs).toBeGreaterThan(100_000);
    }
    const perMinute = (readings * 60_000) / everyMs;
    // 64 batches of one each five seconds are more than five minutes of them, and the least that is worth a mark.
    for (const mark of settled) expect(mark.readings).toBeLessThanOrEqual(perMinute * 7);
  });

  it('covers 4,096 sequences at the most, and 64 at the least', () => {
    const fast = new MarkReserve(false);
    expect(run(fast, 100_000, 1, 1).at(-1)!.readings).toBe(4_096 * 1.25);
    const slow = run(new MarkReserve(false), 1_000, 3_600_000, 100);
    expect(slow.length).toBeLessThan(1_000 / 40);
    expect(slow.at(-1)!.readings).toBe(64 * 100 * 1.25);
  });

  it('lasts longer where durability is deferred', () => {
    const marks = run(new MarkReserve(true), 20_000, 1_000, 10);
    expect(marks.length).toBeLessThan(20);
  });

  it('learns nothing from a mark that is written early, nor across epochs', () => {
    const reserve = new MarkReserve(false);
    const state = freshState(epoch);
    const first = reserve.next(state, 0);
    expect(reserve.next({ ...state, highestSequence: 3, readingsProduced: 500 }, 1)).toEqual(first);
    const other = { ...freshState(new Uint8Array(16).fill(2)), highestSequence: 50_000, readingsProduced: 9e6 };
    expect(reserve.next(other, 2)).toEqual(first);
  });
});
