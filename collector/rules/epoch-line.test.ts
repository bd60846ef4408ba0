import { describe, expect, it } from 'vitest';
import { EpochLine, type LineItem, lineRange, pass } from './epoch-line.js';

const epoch = new Uint8Array(16).fill(7);
const item = (sequence: number, readingsBefore: number, readings = 10): LineItem => ({
  sequence,
  readingsBefore,
  readings,
  replaced: [],
  firstUs: sequence * 1e6,
  lastUs: sequence * 1e6,
});

const at = (first: number, readingsBefore: number) => ({ first, last: first, readingsBefore });

function take(line: EpochLine, one: LineItem): void {
  line.take(one.sequence, false);
  pass(line, one, one.sequence, false);
}

describe('the line of an epoch', () => {
  it('goes on where the counts meet, whatever sequences were used up in between', () => {
    const line = new EpochLine();
    take(line, item(1, 0));
    expect(line.continues(line, at(2, 10))).toBe(true);
    expect(line.continues(line, at(5, 10))).toBe(true);
    expect(line.continues(line, at(5, 11))).toBe(false);
  });

  it('finds readings missing that were dropped, though a declaration without readings stands right before', () => {
    const line = new EpochLine();
    take(line, item(1, 0));
    line.lose(2, 2);
    line.take(3, true);
    expect(line.continues(line, at(4, 20))).toBe(false);
    expect(line.isSettled(2, 3)).toBe(true);
  });

  it('believes counts, not a declaration of a copy that comes late to where readings are missing', () => {
    const line = new EpochLine();
    take(line, item(1, 0));
    line.lose(2, 2);
    line.take(3, true);
    expect(line.continues(line, at(4, 150))).toBe(false);
    line.take(2, true);
    expect(line.continues(line, at(4, 150))).toBe(false);
    expect(line.continues(line, at(4, 10))).toBe(true);
  });

  it('goes on behind readings from the future, which counts contain', () => {
    const line = new EpochLine();
    take(line, item(1, 0));
    line.takeFuture(2);
    expect(line.continues(line, at(3, 20))).toBe(true);
    const back = EpochLine.restore(JSON.parse(JSON.stringify(line.save())));
    expect(back.continues(back, at(3, 20))).toBe(true);
  });

  it('takes a thinned batch for what it replaces', () => {
    const line = new EpochLine();
    take(line, item(1, 0));
    const thinned: LineItem = {
      ...item(9, 80, 0),
      replaced: [{ epoch, first: 2, last: 6, readings: 30, bound: false, reason: 2 }],
    };
    const range = lineRange(thinned, epoch);
    expect(range).toEqual({ first: 2, last: 6, readingsBefore: Number.NaN });
    line.take(9, true);
    line.replace(2, 6);
    expect(line.continues(line, range)).toBe(true);
    pass(line, thinned, 6, true);
    expect(line.continues(line, at(7, 60))).toBe(true);
    expect(line.continues(line, at(8, 70))).toBe(false);
  });

  it('begins with a break, because nobody knows what came before an epoch', () => {
    const line = new EpochLine();
    expect(line.continues(line, at(1, 0))).toBe(false);
  });

  it('forgets the oldest gap of very many, and comes back from JSON as it was', () => {
    const line = new EpochLine();
    for (let sequence = 1; sequence < 400; sequence += 2) take(line, item(sequence, sequence * 10));
    expect(line.isSettled(1, 200)).toBe(true);
    expect(line.isSettled(390, 399)).toBe(false);
    const back = EpochLine.restore(JSON.parse(JSON.stringify(line.save())));
    expect(back.save()).toEqual(line.save());
    expect(back.continues(back, at(401, line.readingsEnd))).toBe(true);
  });
});
