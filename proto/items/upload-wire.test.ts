import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lane, UploadRequest } from '../gen/tributary/v1/telemetry.js';
import { EPOCH_BYTES, type Item, itemChecksum } from './item.js';
import { decodeUploadMessage, encodeUploadMessage, ITEM_OVERHEAD_BYTES_MAX } from './upload-wire.js';

const items = fc.array(
  fc.record({
    sequence: fc.maxSafeNat(),
    kind: fc.integer({ min: 0, max: 300 }),
    checksum: fc.nat({ max: 0xffff_ffff }),
    readings: fc.nat({ max: 0xffff_ffff }),
    readingsBefore: fc.maxSafeNat(),
    body: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 8 },
);
const header = {
  epoch: new Uint8Array(EPOCH_BYTES).fill(7),
  fencingToken: 3,
  lane: Lane.LIVE,
  watermarkUs: -5,
  watermarkSegment: 1,
  backlog: { first: 1, last: 2 },
  readingsProduced: 10,
  readingsWaiting: 4,
};

const plain = (item: Item) => ({ ...item, body: [...item.body] });

describe('the upload message', () => {
  it('is what the generated code reads and writes', () => {
    fc.assert(
      fc.property(items, fc.boolean(), (list, withHeader) => {
        const bytes = encodeUploadMessage(withHeader ? header : undefined, list);
        const generated = UploadRequest.decode(bytes);
        expect(generated.items.map(plain)).toEqual(list.map(plain));
        expect(generated.header?.epoch.length).toBe(withHeader ? EPOCH_BYTES : undefined);
        const read = decodeUploadMessage(UploadRequest.encode(generated).finish())!;
        expect(read.items.map(plain)).toEqual(list.map(plain));
        expect(read.header?.watermarkUs).toBe(withHeader ? -5 : undefined);
      }),
    );
  });

  it('adds no more to a body than it says', () => {
    const item = {
      sequence: Number.MAX_SAFE_INTEGER,
      kind: 6,
      checksum: 1,
      readings: 0xffff_ffff,
      readingsBefore: Number.MAX_SAFE_INTEGER,
      body: new Uint8Array(1 << 20),
    };
    expect(encodeUploadMessage(undefined, [item]).length - item.body.length).toBeLessThanOrEqual(
      ITEM_OVERHEAD_BYTES_MAX,
    );
  });

  it('takes arbitrary bytes without throwing, and gives nothing of a torn message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeUploadMessage(bytes);
      }),
    );
    const bytes = encodeUploadMessage(header, [
      { sequence: 1, kind: 1, checksum: 2, readings: 3, readingsBefore: 4, body: new Uint8Array(50) },
    ]);
    expect(decodeUploadMessage(bytes.subarray(0, bytes.length - 1))).toBeUndefined();
  });
});

describe('the checksum of an item', () => {
  it('changes with each thing that it covers', () => {
    const epoch = new Uint8Array(EPOCH_BYTES).fill(1);
    const body = new Uint8Array([1, 2, 3]);
    const base = itemChecksum(epoch, 1, 1, 1, 1, body);
    expect(itemChecksum(new Uint8Array(EPOCH_BYTES).fill(2), 1, 1, 1, 1, body)).not.toBe(base);
    expect(itemChecksum(epoch, 2 ** 40 + 1, 1, 1, 1, body)).not.toBe(base);
    expect(itemChecksum(epoch, 1, 2, 1, 1, body)).not.toBe(base);
    expect(itemChecksum(epoch, 1, 1, 2, 1, body)).not.toBe(base);
    expect(itemChecksum(epoch, 1, 1, 1, 2 ** 40 + 1, body)).not.toBe(base);
    expect(itemChecksum(epoch, 1, 1, 1, 1, new Uint8Array([1, 2]))).not.toBe(base);
  });

  it('is what FORMAT.md gives as its example', () => {
    const epoch = Uint8Array.from({ length: EPOCH_BYTES }, (_, at) => at);
    const body = Buffer.from('1006220b411000400c180c00000000', 'hex');
    expect(itemChecksum(epoch, 7, 1, 1, 41, body)).toBe(0x27b1dded);
  });

  it('is the published CRC-32', () => {
    // 37 zero bytes of header, then "123456789": computed once with Python's zlib.crc32.
    expect(itemChecksum(new Uint8Array(EPOCH_BYTES), 0, 0, 0, 0, Buffer.from('123456789'))).toBe(0x2e822563);
  });
});
