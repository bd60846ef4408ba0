import { crc32 } from 'node:zlib';
import type { ItemKind, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CheckedItem, Quality } from './store.js';

/*
 * A chunk is a run of items with consecutive sequences, of one device and epoch, in one blob:
 *
 *   format            1 byte, 1
 *   crc               4 bytes, little endian: CRC-32 of everything from here to the end of the heads
 *   first sequence    varint
 *   items             varint
 *   heads length      varint, bytes
 *   heads             one after another:
 *     kind, quality   1 byte: bits 0-3 kind, bits 4-7 quality
 *     flags           1 byte: bits 0-3 lane, bit 4 has times, bit 5 the times are raw
 *     checksum        4 bytes, little endian: the item's own, which covers its body
 *     readings        varint
 *     readings before signed, minus (readings before + readings, at most 2^53 - 1) of the item before; 0 at the first
 *     body length     varint, bytes
 *     with times:     signed offset minus the offset before; signed first minus the last before; varint last minus first;
 *                     all three 0 before the first item that has times
 *     with raw times: offset, first, last as three IEEE doubles, little endian
 *   bodies            one after another
 *
 * A varint has 7 bits a byte, lowest first, high bit for "more" (at most 8 bytes, 53 bits). A signed one has its sign in
 * bit 6 of its first byte, and so 6 bits there. The crc vouches for the heads, each item's checksum for its body, so one
 * flipped bit costs at most one chunk, and never goes unnoticed.
 */

/**
 * Bytes of a chunk at the most, unless one item alone is larger. At 64 KiB the last page of a blob wastes 3 % of 4 KiB
 * pages, an index entry costs nothing, and a query that wants one item reads little too much.
 */
export const CHUNK_BYTES_MAX = 64 * 1024;

const FORMAT = 1;
const HEADER_BYTES_MAX = 1 + 4 + 3 * 8;
const HEAD_BYTES_MAX = 2 + 4 + 3 * 8 + 3 * 8;
const FLAG_TIMES = 0x10;
const FLAG_RAW_TIMES = 0x20;

/** What {@link writeChunk} may write at most for items whose bodies have so many bytes. */
export function chunkBytesBound(items: number, bodyBytes: number): number {
  return HEADER_BYTES_MAX + items * HEAD_BYTES_MAX + bodyBytes;
}

const float64 = new Float64Array(1);
const float64Bytes = new Uint8Array(float64.buffer);

/** The last written one; grows to the largest chunk's heads. */
let heads = new Uint8Array(64 * 1024);

function putVarint(target: Uint8Array, at: number, value: number): number {
  while (value >= 0x8000_0000) {
    target[at++] = (value % 0x80) | 0x80;
    value = Math.floor(value / 0x80);
  }
  while (value >= 0x80) {
    target[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  target[at++] = value;
  return at;
}

function putSigned(target: Uint8Array, at: number, value: number): number {
  const magnitude = Math.abs(value);
  const low = (magnitude % 0x40) | (value < 0 ? 0x40 : 0);
  if (magnitude < 0x40) {
    target[at++] = low;
    return at;
  }
  target[at++] = low | 0x80;
  return putVarint(target, at, Math.floor(magnitude / 0x40));
}

function putUint32(target: Uint8Array, at: number, value: number): number {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
  return at + 4;
}

function putDouble(target: Uint8Array, at: number, value: number): number {
  float64[0] = value;
  for (let byte = 0; byte < 8; byte++) target[at + byte] = float64Bytes[byte];
  return at + 8;
}

/**
 * Writes items `from` to before `to`, whose sequences must be consecutive, as a chunk into `target` at `at`, where
 * {@link chunkBytesBound} must be free; answers where the chunk ends.
 */
export function writeChunk(
  items: readonly CheckedItem[],
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
): number {
  if (heads.length < (to - from) * HEAD_BYTES_MAX) heads = new Uint8Array((to - from) * HEAD_BYTES_MAX * 2);
  let head = 0;
  let readingsEnd = 0;
  let offsetUs = 0;
  let lastUs = 0;
  for (let index = from; index < to; index++) {
    const item = items[index];
    if (item.sequence !== items[from].sequence + index - from)
      throw new RangeError('a chunk has consecutive sequences');
    if (item.kind < 0 || item.kind > 15) throw new RangeError(`no item has kind ${item.kind}`);
    if (item.quality < 0 || item.quality > 15) throw new RangeError(`no time has quality ${item.quality}`);
    if (item.lane < 0 || item.lane > 15) throw new RangeError(`there is no lane ${item.lane}`);
    const hasTimes = item.firstUs !== 0 || item.lastUs !== 0 || item.offsetUs !== 0;
    const offsetDelta = item.offsetUs - offsetUs;
    const firstDelta = item.firstUs - lastUs;
    const span = item.lastUs - item.firstUs;
    const raw =
      hasTimes &&
      !(
        Number.isSafeInteger(offsetDelta) &&
        Number.isSafeInteger(firstDelta) &&
        Number.isSafeInteger(span) &&
        span >= 0 &&
        offsetUs + offsetDelta === item.offsetUs &&
        lastUs + firstDelta === item.firstUs &&
        item.firstUs + span === item.lastUs
      );
    heads[head++] = item.kind | (item.quality << 4);
    heads[head++] = item.lane | (hasTimes ? FLAG_TIMES : 0) | (raw ? FLAG_RAW_TIMES : 0);
    head = putUint32(heads, head, item.checksum);
    head = putVarint(heads, head, item.readings);
    head = putSigned(heads, head, item.readingsBefore - readingsEnd);
    head = putVarint(heads, head, item.body.length);
    if (raw) {
      head = putDouble(heads, head, item.offsetUs);
      head = putDouble(heads, head, item.firstUs);
      head = putDouble(heads, head, item.lastUs);
    } else if (hasTimes) {
      head = putSigned(heads, head, offsetDelta);
      head = putSigned(heads, head, firstDelta);
      head = putVarint(heads, head, span);
    }
    readingsEnd = Math.min(item.readingsBefore + item.readings, Number.MAX_SAFE_INTEGER);
    if (hasTimes) {
      offsetUs = item.offsetUs;
      lastUs = item.lastUs;
    }
  }
  target[at] = FORMAT;
  const checked = at + 5;
  let end = putVarint(target, checked, items[from].sequence);
  end = putVarint(target, end, to - from);
  end = putVarint(target, end, head);
  target.set(heads.subarray(0, head), end);
  end += head;
  putUint32(target, at + 1, crc32(target.subarray(checked, end)));
  for (let index = from; index < to; index++) {
    const { body } = items[index];
    target.set(body, end);
    end += body.length;
  }
  return end;
}

/** Where in a run of items a chunk that begins at `from` must end: at a gap, or when it is full. */
export function chunkEnd(items: readonly CheckedItem[], from: number): number {
  let bytes = HEADER_BYTES_MAX;
  let to = from;
  while (to < items.length && items[to].sequence === items[from].sequence + to - from) {
    bytes += 24 + items[to].body.length;
    if (bytes > CHUNK_BYTES_MAX && to > from) break;
    to++;
  }
  return to;
}

/** Walks a chunk's items without making an object of each: `next` moves on, and the fields are the item's. */
export class ChunkCursor {
  sequence = 0;
  kind: ItemKind = 0;
  quality: Quality = 0;
  lane: Lane = 0;
  checksum = 0;
  readings = 0;
  readingsBefore = 0;
  offsetUs = 0;
  firstUs = 0;
  lastUs = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** Items in the chunk. */
  items = 0;
  firstSequence = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #headsEnd = 0;
  #left = 0;
  #readingsEnd = 0;
  #offsetUs = 0;
  #lastUs = 0;

  /** Begins a chunk; false if its heads are damaged, and then nothing in it can be trusted. */
  open(chunk: Uint8Array): boolean {
    this.#bytes = chunk;
    this.#left = 0;
    if (chunk.length < 8 || chunk[0] !== FORMAT) return false;
    const crc = (chunk[1] | (chunk[2] << 8) | (chunk[3] << 16) | (chunk[4] << 24)) >>> 0;
    this.#at = 5;
    this.firstSequence = this.#varint();
    this.items = this.#varint();
    const headsLength = this.#varint();
    this.#headsEnd = this.#at + headsLength;
    if (this.#headsEnd > chunk.length || crc32(chunk.subarray(5, this.#headsEnd)) !== crc) return false;
    this.#left = this.items;
    this.sequence = this.firstSequence - 1;
    this.bodyEnd = this.#headsEnd;
    this.#readingsEnd = 0;
    this.#offsetUs = 0;
    this.#lastUs = 0;
    return true;
  }

  /** The next item; false at the end. */
  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    this.sequence++;
    const bytes = this.#bytes;
    const kind = bytes[this.#at];
    this.kind = kind & 0x0f;
    this.quality = kind >> 4;
    const flags = bytes[this.#at + 1];
    this.lane = flags & 0x0f;
    const at = this.#at + 2;
    this.checksum = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
    this.#at += 6;
    this.readings = this.#varint();
    this.readingsBefore = this.#readingsEnd + this.#signed();
    this.#readingsEnd = Math.min(this.readingsBefore + this.readings, Number.MAX_SAFE_INTEGER);
    this.bodyStart = this.bodyEnd;
    this.bodyEnd += this.#varint();
    if ((flags & FLAG_TIMES) === 0) {
      this.offsetUs = 0;
      this.firstUs = 0;
      this.lastUs = 0;
      return true;
    }
    if ((flags & FLAG_RAW_TIMES) !== 0) {
      this.offsetUs = this.#double();
      this.firstUs = this.#double();
      this.lastUs = this.#double();
    } else {
      this.offsetUs = this.#offsetUs + this.#signed();
      this.firstUs = this.#lastUs + this.#signed();
      this.lastUs = this.firstUs + this.#varint();
    }
    this.#offsetUs = this.offsetUs;
    this.#lastUs = this.lastUs;
    return true;
  }

  /** The item's body, as a view into the chunk; shorter than it should be where the chunk was cut. */
  body(): Uint8Array {
    return this.#bytes.subarray(this.bodyStart, this.bodyEnd);
  }

  item(): CheckedItem {
    return {
      sequence: this.sequence,
      kind: this.kind,
      checksum: this.checksum,
      readings: this.readings,
      readingsBefore: this.readingsBefore,
      body: this.body(),
      firstUs: this.firstUs,
      lastUs: this.lastUs,
      offsetUs: this.offsetUs,
      quality: this.quality,
      lane: this.lane,
    };
  }

  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 0x80;
    // Eight bytes hold 53 bits; more would only come from damage, which the crc then finds.
    for (let count = 1; count < 8; count++) {
      byte = bytes[this.#at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
    }
    return value;
  }

  #signed(): number {
    const byte = this.#bytes[this.#at++];
    let magnitude = byte & 0x3f;
    if (byte >= 0x80) magnitude += this.#varint() * 0x40;
    return (byte & 0x40) !== 0 ? -magnitude : magnitude;
  }

  #double(): number {
    for (let byte = 0; byte < 8; byte++) float64Bytes[byte] = this.#bytes[this.#at + byte];
    this.#at += 8;
    return float64[0];
  }
}

/** All items of a chunk, their bodies as views into it; undefined if its heads are damaged. */
export function readChunk(chunk: Uint8Array): CheckedItem[] | undefined {
  const cursor = new ChunkCursor();
  if (!cursor.open(chunk)) return undefined;
  const items: CheckedItem[] = [];
  while (cursor.next()) items.push(cursor.item());
  return items;
}
