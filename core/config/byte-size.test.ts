import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatByteSize, parseByteSize } from './byte-size.js';

describe('a size in bytes', () => {
  it('is a whole number with a binary unit', () => {
    expect(['512B', '64KiB', '1MiB', '2GiB'].map(parseByteSize)).toEqual([512, 65_536, 1_048_576, 2_147_483_648]);
  });

  it.each(['', '64', '64KB', '64kb', '1.5MiB', '-1B', '1 MiB', '1PiB'])('is not %j', (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), (bytes) => parseByteSize(formatByteSize(bytes)) === bytes),
      { seed: 1 },
    );
    expect(parseByteSize(formatByteSize(3 * 1024 ** 3))).toBe(3 * 1024 ** 3);
  });
});
