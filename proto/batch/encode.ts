import type { Batch, Column, Group } from './batch.js';
import { BatchError } from './batch-error.js';
import {
  BASE_ZEROS_MAX,
  BatchField,
  SERIES_ID_MAX,
  TYPE_BITS,
  TypeCode,
  UNIT_EXPONENT_BITS,
  UNIT_EXPONENT_MAX,
} from './batch-layout.js';
import { type BatchLimits, DEFAULT_BATCH_LIMITS } from './batch-limits.js';
import { BitWriter } from './bit-writer.js';
import { writeDoubles } from './column-encode.js';
import { writeStates } from './state-columns.js';
import { writeStrings } from './strings.js';
import { writeTimes } from './times.js';

const writer = new BitWriter();
let rowStates = new Float64Array(1024);

/**
 * Encodes a batch. The same batch gives the same bytes, always. Where every row has a value and `values` needs no more
 * than 15 decimal digits, this takes about 20 ns a value; see FORMAT.md for the layout of arrays that is fastest.
 *
 * Throws BatchError `limit` for a batch beyond `limits`, and `invalid` for one that contradicts itself.
 */
export function encodeBatch(batch: Batch, limits: Readonly<BatchLimits> = DEFAULT_BATCH_LIMITS): Uint8Array {
  checkBatch(batch, limits);
  writer.reset();
  writer.reserve(256);
  writer.unsigned(batch.groups.length);
  let previousId = 0;
  for (const group of batch.groups) previousId = writeGroup(group, previousId);
  const body = writer.byteLength();
  const bytes = envelope(batch, body);
  if (bytes.length > limits.maxBytes) throw new BatchError('limit', 'maxBytes');
  writer.copyTo(bytes, bytes.length - body);
  return bytes;
}

function checkBatch(batch: Batch, limits: Readonly<BatchLimits>): void {
  const { groups } = batch;
  if (!isUint32(batch.segment)) throw new BatchError('invalid', 'segment');
  if (!(Number.isInteger(batch.unitExponent) && batch.unitExponent >= 0 && batch.unitExponent <= UNIT_EXPONENT_MAX)) {
    throw new BatchError('invalid', 'unitExponent');
  }
  if (BigInt.asIntN(64, batch.baseTime) !== batch.baseTime) throw new BatchError('invalid', 'baseTime');
  if (groups.length > limits.maxGroups) throw new BatchError('limit', 'maxGroups');
  let readings = 0;
  let instants = 0;
  let columns = 0;
  let ascending = true;
  let lastId = -1;
  let strings = 0;
  let bitmapRows = 0;
  for (const group of groups) {
    if (!Number.isInteger(group.rows) || group.rows < 0 || group.times.length < group.rows)
      throw new BatchError('invalid', 'rows');
    if (group.rows > limits.maxRows) throw new BatchError('limit', 'maxRows');
    instants += group.rows;
    columns += group.columns.length;
    if (columns > limits.maxColumns) throw new BatchError('limit', 'maxColumns');
    for (const column of group.columns) {
      checkColumn(column, group.rows);
      readings += column.count;
      strings += column.strings.length;
      if (column.presence !== null) bitmapRows += group.rows;
      if (column.seriesId <= lastId) ascending = false;
      lastId = column.seriesId;
    }
  }
  if (readings > limits.maxReadings || instants > limits.maxReadings) throw new BatchError('limit', 'maxReadings');
  if (bitmapRows > limits.maxBitmapRows) throw new BatchError('limit', 'maxBitmapRows');
  if (strings > limits.maxStrings) throw new BatchError('limit', 'maxStrings');
  if (readings !== batch.readings) throw new BatchError('invalid', 'readings');
  if (!ascending && hasDuplicateSeries(groups, columns)) throw new BatchError('invalid', 'seriesId');
  if (strings > 0) checkStringBytes(groups, limits.maxStringBytes);
}

function checkColumn(column: Column, rows: number): void {
  if (!isUint32(column.seriesId)) throw new BatchError('invalid', 'seriesId');
  if (column.values.length < column.count) throw new BatchError('invalid', 'values');
  const { presence } = column;
  if (presence === null) {
    if (column.count !== rows) throw new BatchError('invalid', 'count');
    return;
  }
  if (presence.length < (rows + 7) >>> 3) throw new BatchError('invalid', 'presence');
  let count = 0;
  for (let row = 0; row < rows; row++) count += (presence[row >>> 3]! >>> (row & 7)) & 1;
  if (count !== column.count) throw new BatchError('invalid', 'count');
}

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= SERIES_ID_MAX;
}

function hasDuplicateSeries(groups: readonly Group[], columns: number): boolean {
  const ids = new Set<number>();
  for (const group of groups) for (const column of group.columns) ids.add(column.seriesId);
  return ids.size !== columns;
}

function checkStringBytes(groups: readonly Group[], maxStringBytes: number): void {
  let bytes = 0;
  for (const group of groups) {
    for (const column of group.columns) {
      for (const text of column.strings) {
        // A lone surrogate has no UTF-8 form: encoding it would change it.
        if (/\p{Surrogate}/u.test(text)) throw new BatchError('invalid', 'strings');
        bytes += Buffer.byteLength(text);
      }
    }
  }
  if (bytes > maxStringBytes) throw new BatchError('limit', 'maxStringBytes');
}

function writeGroup(group: Group, lastId: number): number {
  const { rows, columns } = group;
  writer.reserve(256);
  writer.unsigned(rows);
  writer.unsigned(columns.length);
  writeTimes(writer, group.times, rows);
  let previousId = lastId;
  let previousPresence: Uint8Array | null = null;
  for (const column of columns) {
    writer.reserve(256);
    const next = column.seriesId === previousId + 1;
    writer.bits(next ? 1 : 0, 1);
    if (!next) writer.unsigned(column.seriesId);
    previousId = column.seriesId;
    previousPresence = writePresence(column.presence, rows, previousPresence);
    writer.reserve(256);
    writer.bits(TypeCode[column.type], TYPE_BITS);
    if (column.type === 'double') writeDoubles(writer, column.values, column.count);
    else if (column.type === 'boolean') writeBooleans(column);
    else writeStrings(writer, column);
  }
  return previousId;
}

/** Writes a presence bitmap and returns the bitmap that the next one may repeat. */
function writePresence(presence: Uint8Array | null, rows: number, previous: Uint8Array | null): Uint8Array | null {
  if (presence === null) {
    writer.bits(0, 1);
    return previous;
  }
  writer.bits(1, 1);
  const bytes = (rows + 7) >>> 3;
  const same = previous !== null && samePresence(presence, previous, rows);
  writer.bits(same ? 1 : 0, 1);
  if (same) return previous;
  if (rowStates.length < bytes * 8) rowStates = new Float64Array(bytes * 16);
  for (let row = 0; row < rows; row++) rowStates[row] = (presence[row >>> 3]! >>> (row & 7)) & 1;
  writeStates(writer, rowStates, rows, 1);
  return presence;
}

/** Whether two bitmaps agree in their first `rows` bits; what lies beyond has no meaning. */
function samePresence(a: Uint8Array, b: Uint8Array, rows: number): boolean {
  const whole = rows >>> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  return (rows & 7) === 0 || ((a[whole]! ^ b[whole]!) & ((1 << (rows & 7)) - 1)) === 0;
}

function writeBooleans(column: Column): void {
  const { values, count } = column;
  for (let i = 0; i < count; i++) if (values[i] !== 0 && values[i] !== 1) throw new BatchError('invalid', 'values');
  writeStates(writer, values, count, 1);
}

/** The protobuf fields around the body, with room for it at the end. */
function envelope(batch: Batch, body: number): Uint8Array {
  const header = new Uint8Array(40);
  let zeros = 0;
  let base = batch.baseTime;
  if (base !== 0n && base % 10n === 0n) {
    while (zeros < BASE_ZEROS_MAX && base % 10n === 0n) {
      base /= 10n;
      zeros++;
    }
  }
  let at = 0;
  const unit = batch.unitExponent | (zeros << UNIT_EXPONENT_BITS);
  if (batch.segment !== 0) at = writeVarintField(header, at, BatchField.segment, batch.segment);
  if (unit !== 0) at = writeVarintField(header, at, BatchField.timeUnit, unit);
  if (base !== 0n) {
    header[at++] = BatchField.baseTime << 3;
    let rest = BigInt.asUintN(64, (base << 1n) ^ (base >> 63n));
    while (rest > 0xffff_ffffn) {
      header[at++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    at = writeVarint(header, at, Number(rest));
  }
  header[at++] = (BatchField.columnar << 3) | 2;
  at = writeVarint(header, at, body);
  const bytes = new Uint8Array(at + body);
  for (let i = 0; i < at; i++) bytes[i] = header[i]!;
  return bytes;
}

function writeVarintField(target: Uint8Array, offset: number, field: number, value: number): number {
  target[offset] = field << 3;
  return writeVarint(target, offset + 1, value);
}

function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value >>> 0;
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
