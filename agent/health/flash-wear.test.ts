import { describe, expect, it } from 'vitest';
import { flashWear } from './flash-wear.js';

const HOUR = 3600;

describe('the wear of the flash', () => {
  it('is projected from the blocks that were written', () => {
    const wear = flashWear({ bytesWritten: 1e6, blockBytesWritten: 18e6 }, 36_000, HOUR, 4e12);
    expect(wear?.bytesPerReading).toBe(500);
    expect(wear?.bytesPerDay).toBeCloseTo(432e6);
    expect(wear?.projectedYears).toBeCloseTo(4e12 / 432e6 / 365.25);
  });

  it('is that of the write calls where nobody counts blocks', () => {
    expect(flashWear({ bytesWritten: 3.6e6, blockBytesWritten: 0 }, 36_000, HOUR, 4e12)?.bytesPerReading).toBe(100);
  });

  it('is not told before it means something', () => {
    expect(flashWear({ bytesWritten: 1e6, blockBytesWritten: 1e6 }, 100, 60, 4e12)).toBeUndefined();
    expect(flashWear({ bytesWritten: 0, blockBytesWritten: 0 }, 100, HOUR, 4e12)).toBeUndefined();
    expect(flashWear({ bytesWritten: 1e6, blockBytesWritten: 1e6 }, 0, HOUR, 4e12)).toBeUndefined();
  });
});
