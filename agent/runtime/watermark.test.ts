import { describe, expect, it } from 'vitest';
import { Watermark } from './watermark.js';

const [first, second] = [1, 2].map((fill) => new Uint8Array(16).fill(fill)) as [Uint8Array, Uint8Array];

describe('the watermark', () => {
  it('is the oldest time that waits, or what is complete when nothing does', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 10 });
    expect(watermark.at(undefined)).toBe(undefined);
    watermark.appended(first, 11, { segment: 1, us: 5_000_000 });
    watermark.appended(first, 12, { segment: 1, us: 6_000_000 });
    watermark.complete({ segment: 1, us: 9_000_000 });
    expect(watermark.at(11)).toEqual({ segment: 1, us: 5_000_000 });
    expect(watermark.at(12)).toEqual({ segment: 1, us: 6_000_000 });
    expect(watermark.at(undefined)).toEqual({ segment: 1, us: 8_000_000 });
  });

  it('is the oldest time of all that waits, in whatever order it was appended', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 0 });
    watermark.appended(first, 1, { segment: 1, us: 5_000_000 });
    watermark.appended(first, 2, { segment: 1, us: 4_500_000 });
    watermark.appended(first, 3, { segment: 1, us: 6_000_000 });
    watermark.complete({ segment: 1, us: 9_000_000 });
    expect(watermark.at(1)).toEqual({ segment: 1, us: 4_500_000 });
    expect(watermark.at(3)).toEqual({ segment: 1, us: 6_000_000 });
  });

  it('says nothing while something waits that an earlier run has left', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 10 });
    watermark.complete({ segment: 1, us: 9_000_000 });
    expect(watermark.at(10)).toBe(undefined);
    watermark.newEpoch({ epoch: second, highestSequence: 3 });
    expect(watermark.at(3)).toBe(undefined);
  });

  it('hears of an epoch by the first item of it, whoever tells later that it has begun', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 10 });
    watermark.appended(first, 11, { segment: 1, us: 5_000_000 });
    watermark.appended(second, 1, { segment: 1, us: 6_000_000 });
    watermark.appended(second, 2, { segment: 1, us: 6_500_000 });
    watermark.complete({ segment: 1, us: 9_000_000 });
    watermark.newEpoch({ epoch: second, highestSequence: 0 });
    expect(watermark.at(1)).toEqual({ segment: 1, us: 6_000_000 });
    expect(watermark.at(2)).toEqual({ segment: 1, us: 6_500_000 });
    watermark.newEpoch({ epoch: first, highestSequence: 11 });
    expect(watermark.at(11)).toBe(undefined);
  });

  it('says nothing about items before one that it was asked for', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 0 });
    for (let sequence = 1; sequence <= 9; sequence++) watermark.appended(first, sequence, { segment: 1, us: sequence });
    watermark.complete({ segment: 1, us: 9_000_000 });
    expect(watermark.at(5)).toEqual({ segment: 1, us: 5 });
    expect(watermark.at(4)).toBe(undefined);
    expect(watermark.at(6)).toEqual({ segment: 1, us: 6 });
  });

  it('says nothing once there are times that no clock of the device bounds', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 0 });
    watermark.appended(first, 1, { segment: 0, us: 5 });
    watermark.complete({ segment: 1, us: 9_000_000 });
    expect(watermark.at(undefined)).toBe(undefined);
  });

  it('remembers a bounded number of items', () => {
    const watermark = new Watermark({ epoch: first, highestSequence: 0 });
    for (let sequence = 1; sequence <= 5000; sequence++)
      watermark.appended(first, sequence, { segment: 1, us: sequence });
    watermark.complete({ segment: 1, us: 9_000_000 });
    expect(watermark.at(100)).toBe(undefined);
    expect(watermark.at(4000)).toEqual({ segment: 1, us: 4000 });
  });
});
