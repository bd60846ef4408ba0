import { describe, expect, it } from 'vitest';
import { type MemorySample, memorySlope } from './memory-slope.js';

const MINUTE_MS = 60_000;

/** An hour of looks each 5 s, with the teeth of a collected heap of 8 MB that is emptied every 35 s. */
function sawtooth(growthBytesAnHour: number): MemorySample[] {
  return Array.from({ length: 720 }, (_, at) => ({
    atMs: 1_000_000 + at * 5000,
    bytes: 100e6 + (at % 7) * 1.2e6 + (growthBytesAnHour * at) / 720,
  }));
}

describe('the slope of memory', () => {
  it('sees no growth in the teeth of a heap', () => {
    const { bytes, error } = memorySlope(sawtooth(0), 2 * MINUTE_MS)!;
    expect(bytes).toBeCloseTo(0, 0);
    expect(error).toBeCloseTo(0, 0);
  });

  it('finds a leak that is smaller than the teeth', () => {
    const { bytes, error } = memorySlope(sawtooth(2e6), 2 * MINUTE_MS)!;
    expect(bytes).toBeGreaterThan(1.9e6);
    expect(bytes).toBeLessThan(2.1e6);
    expect(error).toBeLessThan(0.1e6);
  });

  it('knows what chance may do: lows that jump by a megabyte show nothing in ten minutes, and much in an hour', () => {
    const jumping = sawtooth(3e6).map(({ atMs, bytes }, at) => ({
      atMs,
      bytes: bytes + 1e6 * (Math.floor(at / 24) % 2),
    }));
    const short = memorySlope(jumping.slice(0, 120), 2 * MINUTE_MS)!;
    expect(short.bytes - 2 * short.error).toBeLessThan(0);
    const long = memorySlope(jumping, 2 * MINUTE_MS)!;
    expect(long.bytes - 2 * long.error).toBeGreaterThan(2e6);
  });

  it('says nothing of a time that is too short', () => {
    expect(memorySlope(sawtooth(0).slice(0, 24), 2 * MINUTE_MS)).toBeUndefined();
  });
});
