import { PAGE_BYTES } from './row-size.js';

// SQLite's file format, sections 1.6 and 2: the cells of a leaf of a table, and the records in them.

const FILE_HEADER_BYTES = 100;
const TABLE_LEAF = 0x0d;
const LOCAL_BYTES_MAX = PAGE_BYTES - 35;
const LOCAL_BYTES_MIN = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
const OVERFLOW_BYTES = PAGE_BYTES - 4;
/** Longer than any item may be, so that a damaged length does not make a long walk. */
const PAYLOAD_BYTES_MAX = 4 << 20;
/** No table here has more columns. */
const COLUMNS_MAX = 32;

export type RawValue = null | number | string | Buffer;

export interface RawRow {
  rowId: number;
  values: RawValue[];
}

/**
 * The rows of a page if it looks like a leaf of a table. Nothing is believed: what does not parse is left out, and whether
 * a row is what was written is for its own checksum to say. `pageAt` gives the pages that long rows go on in.
 */
export function rowsOfPage(image: Buffer, pageNumber: number, pageAt: (page: number) => Buffer | undefined): RawRow[] {
  const start = pageNumber === 1 ? FILE_HEADER_BYTES : 0;
  if (image.length < start + 8 || image[start] !== TABLE_LEAF) return [];
  const cells = image.readUInt16BE(start + 3);
  const rows: RawRow[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const pointerAt = start + 8 + cell * 2;
    if (pointerAt + 2 > image.length) break;
    const row = rowAt(image, image.readUInt16BE(pointerAt), pageAt);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

function rowAt(image: Buffer, at: number, pageAt: (page: number) => Buffer | undefined): RawRow | undefined {
  const length = varint(image, at);
  if (length === undefined || length.value < 1 || length.value > PAYLOAD_BYTES_MAX) return undefined;
  const rowId = varint(image, length.end);
  if (rowId === undefined) return undefined;
  const payload = payloadAt(image, rowId.end, length.value, pageAt);
  const values = payload === undefined ? undefined : valuesOf(payload);
  return values === undefined ? undefined : { rowId: rowId.value, values };
}

function payloadAt(
  image: Buffer,
  at: number,
  length: number,
  pageAt: (page: number) => Buffer | undefined,
): Buffer | undefined {
  if (length <= LOCAL_BYTES_MAX) return at + length <= image.length ? image.subarray(at, at + length) : undefined;
  const remainder = LOCAL_BYTES_MIN + ((length - LOCAL_BYTES_MIN) % OVERFLOW_BYTES);
  const local = remainder <= LOCAL_BYTES_MAX ? remainder : LOCAL_BYTES_MIN;
  if (at + local + 4 > image.length) return undefined;
  const payload = Buffer.alloc(length);
  image.copy(payload, 0, at, at + local);
  let next = image.readUInt32BE(at + local);
  for (let filled = local; filled < length; ) {
    const page = pageAt(next);
    const bytes = Math.min(OVERFLOW_BYTES, length - filled);
    if (page === undefined || page.length < 4 + bytes) return undefined;
    page.copy(payload, filled, 4, 4 + bytes);
    next = page.readUInt32BE(0);
    filled += bytes;
  }
  return payload;
}

function valuesOf(payload: Buffer): RawValue[] | undefined {
  const header = varint(payload, 0);
  if (header === undefined || header.value > payload.length) return undefined;
  const values: RawValue[] = [];
  let body = header.value;
  for (let at = header.end; at < header.value; ) {
    const type = varint(payload, at);
    if (type === undefined || type.end > header.value || values.length === COLUMNS_MAX) return undefined;
    at = type.end;
    const bytes = bytesOf(type.value);
    if (bytes === undefined || body + bytes > payload.length) return undefined;
    values.push(columnOf(payload, body, type.value, bytes));
    body += bytes;
  }
  return values;
}

const FIXED_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const;

function bytesOf(type: number): number | undefined {
  if (type < FIXED_BYTES.length) return FIXED_BYTES[type];
  return type < 12 ? undefined : Math.floor((type - 12) / 2);
}

function columnOf(payload: Buffer, at: number, type: number, bytes: number): RawValue {
  if (type === 0) return null;
  if (type === 8) return 0;
  if (type === 9) return 1;
  if (type === 7) return payload.readDoubleBE(at);
  if (type === 6) return Number(payload.readBigInt64BE(at));
  if (type < 6) return payload.readIntBE(at, bytes);
  return type % 2 === 0 ? payload.subarray(at, at + bytes) : payload.toString('utf8', at, at + bytes);
}

/** A big-endian number of 7-bit groups, 9 bytes at most; undefined beyond the end, or beyond what a double counts. */
function varint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < start + 8; at++) {
    if (at >= bytes.length) return undefined;
    value = value * 0x80 + (bytes[at] & 0x7f);
    if (bytes[at] < 0x80) return value > Number.MAX_SAFE_INTEGER ? undefined : { value, end: at + 1 };
  }
  return undefined;
}
