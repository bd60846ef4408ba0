import { UploadHeader } from '../gen/tributary/v1/telemetry.js';
import type { Item } from './item.js';

/**
 * An UploadRequest is written and read by hand (protobuf encoding, https://protobuf.dev/programming-guides/encoding/), so
 * that an item's body is copied once on the device and not at all in the collector. It is the message of
 * `tributary/v1/telemetry.proto`, field for field; the generated code reads what this writes and the other way round.
 */
export interface UploadMessage {
  header: UploadHeader | undefined;
  items: Item[];
}

const TAG_HEADER = 0x0a;
const TAG_ITEM = 0x12;
const TAG_SEQUENCE = 0x08;
const TAG_KIND = 0x10;
const TAG_CHECKSUM = 0x1d;
const TAG_READINGS = 0x20;
const TAG_READINGS_BEFORE = 0x28;
const TAG_BODY = 0x32;

/** Bytes that an item takes in a message at the most, its body aside. */
export const ITEM_OVERHEAD_BYTES_MAX = 40;

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

function itemLength(item: Item): number {
  let length = 1 + varintLength(item.sequence) + 1 + varintLength(item.kind) + 5;
  if (item.readings !== 0) length += 1 + varintLength(item.readings);
  if (item.readingsBefore !== 0) length += 1 + varintLength(item.readingsBefore);
  return length + 1 + varintLength(item.body.length) + item.body.length;
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  let offset = at;
  while (rest >= 0x80) {
    bytes[offset++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[offset++] = rest;
  return offset;
}

/** Writes one message. The bytes are new memory; the items may be changed afterwards. */
export function encodeUploadMessage(header: UploadHeader | undefined, items: readonly Item[]): Uint8Array {
  const headerBytes = header === undefined ? undefined : UploadHeader.encode(header).finish();
  let length = headerBytes === undefined ? 0 : 1 + varintLength(headerBytes.length) + headerBytes.length;
  const lengths = new Array<number>(items.length);
  for (let i = 0; i < items.length; i++) {
    lengths[i] = itemLength(items[i]!);
    length += 1 + varintLength(lengths[i]!) + lengths[i]!;
  }
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  if (headerBytes !== undefined) {
    bytes[at++] = TAG_HEADER;
    at = putVarint(bytes, at, headerBytes.length);
    bytes.set(headerBytes, at);
    at += headerBytes.length;
  }
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    bytes[at++] = TAG_ITEM;
    at = putVarint(bytes, at, lengths[i]!);
    bytes[at++] = TAG_SEQUENCE;
    at = putVarint(bytes, at, item.sequence);
    bytes[at++] = TAG_KIND;
    at = putVarint(bytes, at, item.kind);
    bytes[at++] = TAG_CHECKSUM;
    at = bytes.writeUInt32LE(item.checksum, at);
    if (item.readings !== 0) {
      bytes[at++] = TAG_READINGS;
      at = putVarint(bytes, at, item.readings);
    }
    if (item.readingsBefore !== 0) {
      bytes[at++] = TAG_READINGS_BEFORE;
      at = putVarint(bytes, at, item.readingsBefore);
    }
    bytes[at++] = TAG_BODY;
    at = putVarint(bytes, at, item.body.length);
    bytes.set(item.body, at);
    at += item.body.length;
  }
  return bytes;
}

/** Walks protobuf fields of `bytes` from `at` to `end`. Any read past the end makes it `failed`, and every later read 0. */
class Cursor {
  failed = false;

  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    public end: number,
  ) {}

  /** An unsigned varint; one above 2^53 - 1 fails, as no count or sequence of ours gets there. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) break;
      const byte = this.bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    this.failed = true;
    return 0;
  }

  fixed32(): number {
    if (this.at + 4 > this.end) {
      this.failed = true;
      return 0;
    }
    const { bytes, at } = this;
    this.at += 4;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }

  /** A length that must fit, and the position moved behind it. */
  span(): number {
    const length = this.varint();
    if (this.failed || length > this.end - this.at) {
      this.failed = true;
      return 0;
    }
    this.at += length;
    return length;
  }

  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        // A varint of any value: it is not ours to judge.
        for (let i = 0; i < 10; i++) {
          if (this.at >= this.end) break;
          if (this.bytes[this.at++]! < 0x80) return;
        }
        this.failed = true;
        return;
      case 1:
        this.at += 8;
        break;
      case 2:
        this.span();
        break;
      case 5:
        this.at += 4;
        break;
      default:
        this.failed = true;
    }
    if (this.at > this.end) this.failed = true;
  }
}

const NO_BYTES = new Uint8Array(0);

function readItem(cursor: Cursor, end: number): Item {
  const item: Item = { sequence: 0, kind: 0, checksum: 0, readings: 0, readingsBefore: 0, body: NO_BYTES };
  const outerEnd = cursor.end;
  cursor.end = end;
  while (cursor.at < end && !cursor.failed) {
    const tag = cursor.varint();
    switch (tag) {
      case TAG_SEQUENCE:
        item.sequence = cursor.varint();
        break;
      case TAG_KIND:
        item.kind = cursor.varint();
        break;
      case TAG_CHECKSUM:
        item.checksum = cursor.fixed32();
        break;
      case TAG_READINGS:
        item.readings = cursor.varint();
        break;
      case TAG_READINGS_BEFORE:
        item.readingsBefore = cursor.varint();
        break;
      case TAG_BODY: {
        const length = cursor.span();
        item.body = cursor.bytes.subarray(cursor.at - length, cursor.at);
        break;
      }
      default:
        cursor.skip(tag);
    }
  }
  cursor.end = outerEnd;
  return item;
}

/**
 * Reads one message; the bodies are views into `bytes`. Unknown fields are passed over. Answers undefined for bytes that
 * are not an UploadRequest; the items of such a message are not to be trusted, so there are none.
 */
export function decodeUploadMessage(bytes: Uint8Array): UploadMessage | undefined {
  const cursor = new Cursor(bytes, 0, bytes.length);
  const items: Item[] = [];
  let header: UploadHeader | undefined;
  while (cursor.at < cursor.end) {
    const tag = cursor.varint();
    if (tag === TAG_ITEM) {
      const length = cursor.span();
      const end = cursor.at;
      cursor.at = end - length;
      if (!cursor.failed) items.push(readItem(cursor, end));
    } else if (tag === TAG_HEADER) {
      const length = cursor.span();
      if (!cursor.failed) {
        try {
          header = UploadHeader.decode(bytes.subarray(cursor.at - length, cursor.at));
        } catch {
          return undefined;
        }
      }
    } else cursor.skip(tag);
    if (cursor.failed) return undefined;
  }
  return { header, items };
}
