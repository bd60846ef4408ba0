import { describe, expect, it } from 'vitest';
import { DeviceLine, type Hole } from './device-line.js';

describe("a device's line", () => {
  it('remembers so many epochs and holes, however many a device opens, and hands back each hole that it forgets', () => {
    const line = new DeviceLine();
    const evicted: Hole[] = [];
    for (let epochId = 1; epochId <= 1000; epochId += 1) {
      expect(line.place(epochId, 3, true, (hole) => evicted.push(hole)).kind).toBe('forward');
    }
    expect(line.frontier.size).toBe(32);
    expect(line.holes.length).toBeLessThanOrEqual(64);
    expect(evicted.length + line.holes.length).toBe(line.generation);
    // Work for each new epoch is bounded too: two holes, its own beginning and the rest of the one before it.
    expect(line.generation).toBeLessThan(3000);
  });

  it('takes what comes late of a forgotten epoch as history', () => {
    const line = new DeviceLine();
    for (let epochId = 1; epochId <= 40; epochId += 1) line.place(epochId, 1, true, () => {});
    expect(line.place(1, 2, false, () => {}).kind).toBe('history');
  });
});
