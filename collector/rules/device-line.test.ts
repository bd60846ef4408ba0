import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { DeviceLine, Place } from './device-line.js';

const bytes = (fill: number) => new Uint8Array(16).fill(fill);
const hex = (fill: number) => Buffer.from(bytes(fill)).toString('hex');

function place(
  line: DeviceLine,
  sequence: number,
  epoch = 1,
  nowMs = 0,
  replaced: readonly LedgerEntry[] = [],
  readingsBefore = (sequence - 1) * 10,
): Place {
  const readings = replaced.length > 0 ? 0 : 10;
  const times = { firstUs: sequence * 1e6, lastUs: sequence * 1e6 };
  const item = { sequence, readings, readingsBefore, replaced, ...times };
  return line.place(hex(epoch), bytes(epoch), item, nowMs);
}

const lost = (first: number, last: number, epoch = 1): LedgerEntry => ({
  epoch: bytes(epoch),
  first,
  last,
  readings: 0,
  bound: false,
  reason: 1,
});

describe('the line of a device', () => {
  it('sees what is jumped over, and when all of it has come', () => {
    const line = new DeviceLine();
    expect([place(line, 1), place(line, 2), place(line, 6)]).toEqual([Place.Jump, Place.Next, Place.Jump]);
    expect(line.holes.map(({ first, last }) => [first, last])).toEqual([[3, 5]]);
    expect([place(line, 3), place(line, 7), place(line, 5)]).toEqual([Place.Past, Place.Next, Place.Past]);
    expect(line.settle(() => false)).toBe(0);
    place(line, 4, 1, 70);
    expect(line.settle(() => false)).toBe(1);
    expect(line.holes).toEqual([]);
  });

  it('takes a hole for done when what did not come was declared, and waits for what nobody speaks of', () => {
    const line = new DeviceLine();
    place(line, 1);
    place(line, 6);
    place(line, 3, 1, 20);
    line.note(hex(1), { sequence: 7, declared: [lost(2, 2), lost(4, 4)] }, 30);
    expect(line.settle(() => false)).toBe(0);
    expect(line.holes[0]).toMatchObject({ foundMs: 0, newsMs: 30 });
    line.note(hex(2), { sequence: 1, declared: [lost(5, 5)] }, 40);
    expect(line.settle(() => false)).toBe(1);
  });

  it('finds out at the next item with readings what is missing before it', () => {
    const line = new DeviceLine();
    place(line, 1);
    line.note(hex(1), { sequence: 4, declared: [lost(2, 3)] }, 0);
    expect([place(line, 5), line.holes]).toEqual([Place.Jump, []]);
  });

  it('says before which times something is there that had been missing, when a copy sends it late', () => {
    const line = new DeviceLine();
    place(line, 1);
    line.note(hex(1), { sequence: 4, declared: [lost(2, 3)] }, 0);
    expect([place(line, 5), line.mendedUs]).toEqual([Place.Jump, Infinity]);
    expect([place(line, 6), line.mendedUs]).toEqual([Place.Next, Infinity]);
    const back = DeviceLine.restore(JSON.parse(JSON.stringify(line.save())), 0);
    for (const one of [line, back]) {
      expect([place(one, 2), one.mendedUs]).toEqual([Place.Past, Infinity]);
      expect([place(one, 3), one.mendedUs]).toEqual([Place.Past, 5e6]);
      expect([place(one, 7), one.mendedUs]).toEqual([Place.Next, Infinity]);
    }
  });

  it('says so of a thinned batch, and of a declaration that was thought lost', () => {
    const line = new DeviceLine();
    place(line, 1);
    place(line, 4);
    expect([place(line, 5, 1, 0, [lost(2, 3)]), line.mendedUs]).toEqual([Place.Past, 4e6]);
    place(line, 9);
    place(line, 7);
    line.note(hex(1), { sequence: 8, declared: [] }, 0);
    expect(line.mendedUs).toBe(9e6);
  });

  it('waits for a hole no longer than it is told to', () => {
    const line = new DeviceLine();
    place(line, 1);
    place(line, 6, 1, 100);
    expect(line.settle(({ newsMs }) => newsMs + 50 < 120)).toBe(0);
    expect(line.settle(({ newsMs }) => newsMs + 50 < 160)).toBe(1);
  });

  it('lets a thinned batch fill the hole that it stands for', () => {
    const line = new DeviceLine();
    place(line, 1);
    place(line, 8);
    expect(place(line, 9, 1, 0, [lost(2, 7)])).toBe(Place.Past);
    expect(line.settle(() => false)).toBe(1);
    // The thinned one has added no reading to what was produced.
    expect(place(line, 10, 1, 0, [], 80)).toBe(Place.Next);
  });

  it('takes the past of a device that nobody remembers for known', () => {
    const line = new DeviceLine();
    line.assumesPast = true;
    expect(place(line, 500)).toBe(Place.Next);
    expect(line.holes).toEqual([]);
  });

  it('is as it was when it comes back from JSON', () => {
    const line = new DeviceLine();
    for (const sequence of [1, 2, 6, 4]) place(line, sequence);
    place(line, 3, 2);
    const back = DeviceLine.restore(JSON.parse(JSON.stringify(line.save())), 0);
    expect(back.save()).toEqual(line.save());
    for (const one of [line, back]) {
      expect([place(one, 7), place(one, 5), one.holes.length]).toEqual([Place.Next, Place.Past, 2]);
    }
  });
});
