import type { DecodeArena } from './arena.js';
import type { Batch, Column, ColumnType, Group } from './batch.js';
import { BatchError } from './batch-error.js';
import { SERIES_ID_MAX, TYPE_BITS, TypeCode } from './batch-layout.js';
import { type BatchLimits, DEFAULT_BATCH_LIMITS } from './batch-limits.js';
import { BitReader } from './bit-reader.js';
import { readDoubles } from './column-decode.js';
import { type Envelope, parseEnvelope } from './envelope.js';
import { readStates } from './state-columns.js';
import { readStrings } from './strings.js';
import { readTimes } from './times.js';

const reader = new BitReader();
const envelope: Envelope = { segment: 0, unitExponent: 0, baseTime: 0n, bodyStart: 0, bodyEnd: 0 };
/** What is left of the limits while a batch is read. */
const budget = { readings: 0, instants: 0, columns: 0, bitmapRows: 0, bytes: 0, strings: 0 };

/**
 * Decodes a batch. Values, instants and bitmaps lie in memory of `arena` and are valid until it is reset; there is no
 * allocation for each reading.
 *
 * Throws BatchError only, whatever the bytes: `unknown-encoding` for a body of a later version, `limit` beyond
 * `limits`, otherwise `malformed`. Time and memory are bounded by `limits`, however the bytes were made.
 */
export function decodeBatch(
  bytes: Uint8Array,
  arena: DecodeArena,
  limits: Readonly<BatchLimits> = DEFAULT_BATCH_LIMITS,
): Batch {
  if (bytes.length > limits.maxBytes) throw new BatchError('limit', 'maxBytes');
  parseEnvelope(bytes, envelope);
  reader.load(bytes, envelope.bodyStart, envelope.bodyEnd);
  budget.readings = limits.maxReadings;
  budget.instants = limits.maxReadings;
  budget.columns = limits.maxColumns;
  budget.bitmapRows = limits.maxBitmapRows;
  budget.bytes = limits.maxStringBytes;
  budget.strings = limits.maxStrings;
  const { segment, unitExponent, baseTime } = envelope;
  const length = reader.atMost(limits.maxGroups, 'maxGroups');
  const groups: Group[] = [];
  let lastId = 0;
  for (let i = 0; i < length; i++) {
    const group = readGroup(arena, limits.maxRows, lastId);
    if (group.columns.length > 0) lastId = group.columns[group.columns.length - 1]!.seriesId;
    groups.push(group);
  }
  if (reader.end - reader.position > 7) throw new BatchError('malformed', 'trailing bytes');
  requireDistinctSeries(groups, limits.maxColumns - budget.columns);
  return { segment, unitExponent, baseTime, groups, readings: limits.maxReadings - budget.readings };
}

function readGroup(arena: DecodeArena, maxRows: number, lastId: number): Group {
  const rows = reader.atMost(maxRows, 'maxRows');
  const length = reader.atMost(budget.columns, 'maxColumns');
  budget.columns -= length;
  budget.instants -= rows;
  if (budget.instants < 0) throw new BatchError('limit', 'maxReadings');
  const times = arena.block(rows).doubles;
  readTimes(reader, times, rows);
  const columns: Column[] = [];
  let previousId = lastId;
  let presence: Uint8Array | null = null;
  let presenceCount = 0;
  for (let i = 0; i < length; i++) {
    const seriesId = reader.bits(1) === 1 ? previousId + 1 : reader.unsigned();
    if (seriesId > SERIES_ID_MAX) throw new BatchError('malformed', 'series id');
    previousId = seriesId;
    const all = reader.bits(1) === 0;
    if (!all) {
      budget.bitmapRows -= rows;
      if (budget.bitmapRows < 0) throw new BatchError('limit', 'maxBitmapRows');
    }
    if (!all && reader.bits(1) === 0) {
      presence = new Uint8Array((rows + 7) >>> 3);
      presenceCount = readPresence(presence, rows);
    } else if (!all && presence === null) {
      throw new BatchError('malformed', 'presence');
    }
    const count = all ? rows : presenceCount;
    budget.readings -= count;
    if (budget.readings < 0) throw new BatchError('limit', 'maxReadings');
    columns.push(readColumn(arena, seriesId, all ? null : presence, count));
  }
  return { rows, times: times.length === rows ? times : times.subarray(0, rows), columns };
}

function readColumn(arena: DecodeArena, seriesId: number, presence: Uint8Array | null, count: number): Column {
  const code = reader.bits(TYPE_BITS);
  const block = arena.block(count);
  let type: ColumnType = 'double';
  let strings = NO_STRINGS;
  if (code === TypeCode.double) {
    readDoubles(reader, block, count);
  } else if (code === TypeCode.boolean) {
    type = 'boolean';
    readStates(reader, block.doubles, count, 1);
  } else if (code === TypeCode.string) {
    type = 'string';
    strings = readStrings(reader, block.doubles, count, budget);
  } else {
    throw new BatchError('malformed', 'type');
  }
  return { seriesId, type, presence, count, values: block.doubles, strings };
}

const NO_STRINGS: readonly string[] = Object.freeze([]);

/** Scratch memory for one bitmap. */
let states = new Float64Array(1024);

/** Reads a bitmap and returns the number of its set bits. */
function readPresence(presence: Uint8Array, rows: number): number {
  if (states.length < rows) states = new Float64Array(rows * 2);
  readStates(reader, states, rows, 1);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    if (states[row] === 0) continue;
    presence[row >>> 3]! |= 1 << (row & 7);
    count++;
  }
  return count;
}

function requireDistinctSeries(groups: readonly Group[], columns: number): void {
  let lastId = -1;
  let ascending = true;
  for (const group of groups) {
    for (const column of group.columns) {
      if (column.seriesId <= lastId) ascending = false;
      lastId = column.seriesId;
    }
  }
  if (ascending) return;
  const ids = new Set<number>();
  for (const group of groups) for (const column of group.columns) ids.add(column.seriesId);
  if (ids.size !== columns) throw new BatchError('malformed', 'series id');
}
