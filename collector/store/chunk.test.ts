import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkCursor, chunkBytesBound, chunkEnd, readChunk, writeChunk } from './chunk.js';
import type { CheckedItem } from './store.js';

const safeInteger = fc.maxSafeInteger();
const time = fc.oneof(safeInteger, fc.constant(0), fc.integer({ min: 0, max: 10_000 }), fc.double({ noNaN: true }));
const arbitraryItem = fc.record({
  kind: fc.integer({ min: 0, max: 15 }),
  checksum: fc.nat({ max: 0xffff_ffff }),
  readings: fc.nat({ max: 0xffff_ffff }),
  readingsBefore: fc.maxSafeNat(),
  body: fc.uint8Array({ maxLength: 40 }),
  firstUs: time,
  lastUs: time,
  offsetUs: time,
  quality: fc.integer({ min: 0, max: 3 }),
  lane: fc.integer({ min: 0, max: 2 }),
});
const run = fc
  .tuple(
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 100 }),
    fc.array(arbitraryItem, { minLength: 1, maxLength: 20 }),
  )
  .map(([first, items]) => items.map((item, at): CheckedItem => ({ sequence: first + at, ...item })));

function write(items: readonly CheckedItem[]): Uint8Array {
  const bodies = items.reduce((sum, item) => sum + item.body.length, 0);
  const target = new Uint8Array(chunkBytesBound(items.length, bodies));
  return target.subarray(0, writeChunk(items, 0, items.length, target, 0));
}

describe('chunk', () => {
  it('gives back every item that was written', () => {
    fc.assert(
      fc.property(run, (items) => {
        const back = readChunk(write(items));
        // -0 and 0 are one instant; only its sign is not kept.
        const plain = items.map((item) => ({
          ...item,
          firstUs: item.firstUs + 0,
          lastUs: item.lastUs + 0,
          offsetUs: item.offsetUs + 0,
        }));
        expect(
          back?.map((item) => ({
            ...item,
            firstUs: item.firstUs + 0,
            lastUs: item.lastUs + 0,
            offsetUs: item.offsetUs + 0,
          })),
        ).toEqual(plain);
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  it('notices any changed byte of its heads', () => {
    fc.assert(
      fc.property(run, fc.nat(), fc.integer({ min: 1, max: 255 }), (items, where, flip) => {
        const chunk = write(items);
        const bodies = items.reduce((sum, item) => sum + item.body.length, 0);
        chunk[where % (chunk.length - bodies)] ^= flip;
        expect(readChunk(chunk)).toBeUndefined();
      }),
      { seed: 12, numRuns: 500 },
    );
  });

  it('takes arbitrary bytes without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        if (bytes.length > 0) bytes[0] = 1;
        const cursor = new ChunkCursor();
        if (cursor.open(bytes)) while (cursor.next());
      }),
      { seed: 13, numRuns: 2000 },
    );
  });

  it('costs an ordinary item 21 bytes beside its body', () => {
    const items = Array.from(
      { length: 40 },
      (_, at): CheckedItem => ({
        sequence: 1_000_000 + at,
        kind: 1,
        checksum: 0xdead_beef,
        readings: 1000,
        readingsBefore: 1_000_000_000 + at * 1000,
        body: new Uint8Array(1550),
        firstUs: 1_760_000_000_000_000 + at * 10_000_000,
        lastUs: 1_760_000_000_000_000 + at * 10_000_000 + 9_900_000,
        offsetUs: 1_759_000_000_000_000,
        quality: 1,
        lane: 1,
      }),
    );
    expect((write(items).length - 40 * 1550) / 40).toBeLessThanOrEqual(21);
  });

  it('ends at a gap and when it is full', () => {
    const item = (sequence: number, bytes: number): CheckedItem => ({
      sequence,
      kind: 1,
      checksum: 0,
      readings: 0,
      readingsBefore: 0,
      body: new Uint8Array(bytes),
      firstUs: 0,
      lastUs: 0,
      offsetUs: 0,
      quality: 1,
      lane: 1,
    });
    expect(chunkEnd([item(1, 5), item(2, 5), item(4, 5)], 0)).toBe(2);
    expect(chunkEnd([item(1, 40_000), item(2, 40_000)], 0)).toBe(1);
    expect(chunkEnd([item(1, 100_000), item(2, 5)], 0)).toBe(1);
  });
});
