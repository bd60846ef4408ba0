import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type HighWaterMark, markPath, readMark, reservedAbove, writeMark } from './high-water-mark.js';
import { freshState } from './item-table.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-mark-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'buffer.db');
const mark: HighWaterMark = {
  epoch: new Uint8Array(16).fill(0xab),
  highestSequence: 2 ** 40,
  readingsProduced: 2 ** 50,
  reservedSequence: 2 ** 40 + 4096,
  reservedReadings: 2 ** 50 + 9,
  series: 3,
  segments: 2,
  schemaVersion: 2,
  isOpen: true,
  logBytes: 171_552,
  logSalt: 0xffff_ffff,
};

describe('the high-water mark', () => {
  it('is read as it was written', () => {
    expect(readMark(path)).toBeUndefined();
    writeMark(path, { ...mark, highestSequence: 1 });
    writeMark(path, mark);
    expect(readMark(path)).toEqual(mark);
  });

  it('is not believed at any shorter length, nor with any flipped bit', () => {
    writeMark(path, mark);
    const bytes = readFileSync(markPath(path));
    for (let length = 0; length < bytes.length - 1; length++) {
      writeFileSync(markPath(path), bytes);
      truncateSync(markPath(path), length);
      expect(readMark(path), `${length} bytes`).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(bytes);
        flipped[bit >>> 3]! ^= 1 << (bit & 7);
        writeFileSync(markPath(path), flipped);
        const found = readMark(path);
        // A bit of the last line end changes nothing that is said.
        if (found !== undefined) expect(found).toEqual(mark);
      }),
      { seed: 15, numRuns: 500 },
    );
  });

  it('reserves beyond what is needed now; without a reserve, what a mark that is gone may have reserved', () => {
    const state = { ...freshState(mark.epoch), highestSequence: 100, readingsProduced: 5_000 };
    expect(reservedAbove(state, { sequences: 7, readings: 9 }, { sequences: 64, readings: 1_024 })).toEqual({
      reservedSequence: 100 + 64 + 7,
      reservedReadings: 5_000 + 1_024 + 9,
    });
    expect(reservedAbove(state)).toEqual({
      reservedSequence: 100 + 4_096,
      reservedReadings: 5_000 + 4_096 * 50 * 2,
    });
  });
});
