import { crc32 } from 'node:zlib';
import { failpoint } from '@tributary/core/failpoint/failpoint';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import { EPOCH_BYTES, type Item } from '@tributary/proto/items/item';
import type { Database, Statement } from 'better-sqlite3';
import {
  type AnchorRow,
  anchorOfRow,
  catalogueChecksum,
  rowOfAnchor,
  rowOfSegment,
  rowOfSeries,
  type SegmentRow,
  type SeriesRow,
  segmentOfRow,
  seriesOfRow,
} from './catalogue-rows.js';
import type { BufferedItem, BufferState, ClockIds, ItemHeader, ItemTable, QuarantineNote } from './item-table.js';
import { SqliteAlertTable } from './sqlite-alert-table.js';

const SELECT_SERIES = 'SELECT * FROM series ORDER BY id';
const SELECT_SEGMENTS = 'SELECT * FROM segments ORDER BY id';
const SELECT_ANCHORS = 'SELECT * FROM anchors ORDER BY id';

/** The file's bytes are not those of a buffer; it must be moved aside. */
export class DamagedBufferError extends Error {
  override readonly name = 'DamagedBufferError';
}

const HEADER_COLUMNS =
  'sequence, kind, readings, readings_before AS readingsBefore, length(body) AS bodyBytes, protected AS isProtected';
const ITEM_COLUMNS =
  'sequence, kind, checksum, readings, readings_before AS readingsBefore, body, protected AS isProtected';

/** The rows of an open buffer database that has the schema. */
export class SqliteItemTable implements ItemTable {
  readonly alerts: SqliteAlertTable;
  readonly #db: Database;
  readonly #statements = new Map<string, Statement<unknown[], unknown>>();
  #synchronousAsserted = false;

  constructor(db: Database) {
    this.#db = db;
    this.alerts = new SqliteAlertTable(db);
  }

  begin(): void {
    this.#sql('BEGIN IMMEDIATE').run();
  }

  commit(): void {
    failpoint('buffer-before-commit');
    this.#sql('COMMIT').run();
    failpoint('buffer-after-commit');
    if (this.#synchronousAsserted) return;
    // Until the first write the pragma answers what was set, not what is used.
    const synchronous = this.#db.pragma('synchronous', { simple: true });
    if (synchronous !== 2) throw new Error(`the buffer's database commits with synchronous=${synchronous}, not FULL`);
    this.#synchronousAsserted = true;
  }

  rollback(): void {
    // An error such as a full disk has rolled back already.
    if (this.#db.open && this.#db.inTransaction) this.#sql('ROLLBACK').run();
  }

  state(): BufferState | undefined {
    return readState(this.#db);
  }

  putState(state: BufferState): void {
    const counters = countersOf(state);
    const doubt = packRanges(state.inDoubt);
    const values = [state.epoch, ...counters, doubt, stateChecksum(state.epoch, counters, doubt)];
    this.#sql(`INSERT OR REPLACE INTO state VALUES (1${', ?'.repeat(values.length)})`).run(...values);
  }

  put(item: BufferedItem): void {
    const { sequence, kind, checksum, readings, readingsBefore, body, isProtected } = item;
    this.#sql('INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)').run(
      sequence,
      kind,
      checksum,
      readings,
      readingsBefore,
      body,
      isProtected ? 1 : 0,
    );
  }

  deleteRange(first: number, last: number): void {
    this.#sql('DELETE FROM items WHERE sequence BETWEEN ? AND ?').run(first, last);
    failpoint('buffer-delete');
  }

  headers(first: number, last: number, limit: number): ItemHeader[] {
    const sql = `SELECT ${HEADER_COLUMNS} FROM items WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?`;
    const rows = this.#sql(sql).all(first, last, limit) as ItemHeader[];
    let previous = first - 1;
    for (const row of rows) {
      row.isProtected = Boolean(row.isProtected);
      previous = inOrder(row.sequence, previous);
    }
    return rows;
  }

  totals(): { items: number; readings: number } {
    const sql = 'SELECT count(*) AS items, coalesce(sum(readings), 0) AS readings FROM items';
    return this.#sql(sql).get() as { items: number; readings: number };
  }

  headerBefore(sequence: number): ItemHeader | undefined {
    const sql = `SELECT ${HEADER_COLUMNS} FROM items WHERE sequence < ? ORDER BY sequence DESC LIMIT 1`;
    const row = this.#sql(sql).get(sequence) as ItemHeader | undefined;
    if (row !== undefined) row.isProtected = Boolean(row.isProtected);
    return row;
  }

  items(from: number, limit: number, maxBytes: number): BufferedItem[] {
    const found: BufferedItem[] = [];
    let bytes = 0;
    let previous = from - 1;
    const sql = `SELECT ${ITEM_COLUMNS} FROM items WHERE sequence >= ? ORDER BY sequence LIMIT ?`;
    for (const row of this.#sql(sql).iterate(from, limit)) {
      const item = row as BufferedItem;
      item.isProtected = Boolean(item.isProtected);
      previous = inOrder(item.sequence, previous);
      found.push(item);
      bytes += item.body.length;
      if (bytes >= maxBytes) break;
    }
    return found;
  }

  putQuarantined(item: Item, note: QuarantineNote, keepItems: number): void {
    const { sequence, kind, checksum, readings, readingsBefore, body } = item;
    const { lastInsertRowid } = this.#sql('INSERT INTO quarantine VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      note.epoch,
      sequence,
      kind,
      checksum,
      readings,
      readingsBefore,
      body,
      note.reason,
      note.detail,
    );
    this.#sql('DELETE FROM quarantine WHERE id <= ?').run(Number(lastInsertRowid) - keepItems);
  }

  series(): SeriesDeclaration[] {
    return (this.#sql(SELECT_SERIES).raw().all() as SeriesRow[]).map((row) => believed(seriesOfRow(row)));
  }

  putSeries(series: SeriesDeclaration): void {
    this.#sql('INSERT INTO series VALUES (?, ?, ?, ?, ?, ?)').run(...rowOfSeries(series));
  }

  segments(): SegmentDeclaration[] {
    return (this.#sql(SELECT_SEGMENTS).raw().all() as SegmentRow[]).map((row) => believed(segmentOfRow(row)));
  }

  putSegment(segment: SegmentDeclaration): void {
    this.#sql('INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)').run(...rowOfSegment(segment));
  }

  anchors(): ClockAnchor[] {
    return (this.#sql(SELECT_ANCHORS).raw().all() as AnchorRow[]).map((row) => believed(anchorOfRow(row)));
  }

  putAnchor(anchor: ClockAnchor): void {
    this.#sql('INSERT INTO anchors VALUES (?, ?, ?, ?, ?, ?, ?)').run(...rowOfAnchor(anchor));
  }

  dropClocks(below: ClockIds): void {
    this.#sql('DELETE FROM segments WHERE id < ?').run(below.segment);
    this.#sql('DELETE FROM anchors WHERE id < ?').run(below.anchor);
  }

  clearCatalogue(): void {
    for (const table of ['series', 'segments', 'anchors']) this.#sql(`DELETE FROM ${table}`).run();
  }

  #sql(sql: string): Statement<unknown[], unknown> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare<unknown[], unknown>(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** The counters of a buffer database; undefined before the first commit. Throws `DamagedBufferError`. */
export function readState(db: Database): BufferState | undefined {
  const row = db.prepare('SELECT * FROM state').raw().get() as unknown[] | undefined;
  if (row === undefined) return undefined;
  const state = stateOfRow(row);
  if (state === undefined) throw wrongCounters();
  return state;
}

type StateRow = [id: number, epoch: Buffer, ...rest: (number | Buffer)[]];

/** Columns of the row of counters, in each version of the tables. */
const STATE_COLUMNS = [0, 11, 21] as const;

/** The counters that a row of any version has; undefined if it is no such row, or fails its checksum. */
export function stateOfRow(row: readonly unknown[]): BufferState | undefined {
  const version = STATE_COLUMNS.indexOf(row.length as 0 | 11 | 21);
  if (version < 1 || !Buffer.isBuffer(row[1]) || row[1].length !== EPOCH_BYTES) return undefined;
  const [, epoch, ...rest] = row as StateRow;
  const checksum = rest.pop() as number;
  if (version === 1) {
    if (!rest.every((value) => typeof value === 'number')) return undefined;
    const first = rest as number[];
    if (crc32(Float64Array.from(first), crc32(epoch)) !== checksum) return undefined;
    const [highest, produced, items, readings, bytes, evicted, quarantined, cursor] = first;
    // That version did not say whether it was closed in order.
    const added = [0, quarantined, cursor, 0, 0, 0, 1, 1, 0, 0, 0];
    return stateOf(epoch, [highest, produced, items, readings, bytes, evicted, ...added], []);
  }
  const doubt = rest.pop();
  if (!Buffer.isBuffer(doubt) || !rest.every((value) => typeof value === 'number')) return undefined;
  const counters = rest as number[];
  if (stateChecksum(epoch, counters, doubt) !== checksum) return undefined;
  return stateOf(epoch, counters, unpackRanges(doubt));
}

/**
 * The rows that the second version of the tables has taken over from the first are given their own checksums; the counters
 * only if the one that they came with is right. Throws `DamagedBufferError`.
 */
export function restamp(db: Database): void {
  for (const row of db.prepare(SELECT_SERIES).raw().all() as SeriesRow[]) {
    const [id, name, unit, labels, type] = row;
    db.prepare('UPDATE series SET checksum = ? WHERE id = ?').run(
      catalogueChecksum([id, name, unit, labels, type]),
      id,
    );
  }
  for (const row of db.prepare(SELECT_SEGMENTS).raw().all() as SegmentRow[]) {
    db.prepare('UPDATE segments SET checksum = ? WHERE id = ?').run(catalogueChecksum(row.slice(0, -1)), row[0]);
  }
  const row = db.prepare('SELECT * FROM state').raw().get() as StateRow | undefined;
  if (row === undefined) return;
  const [, epoch, ...rest] = row;
  const [highest, produced, items, readings, bytes, evicted, , quarantined, cursor, ...added] = rest as number[];
  const first = [highest, produced, items, readings, bytes, evicted, quarantined, cursor];
  if (crc32(Float64Array.from(first), crc32(epoch)) !== added.pop()) throw wrongCounters();
  const counters = (rest as number[]).slice(0, -2);
  db.prepare('UPDATE state SET checksum = ?').run(stateChecksum(epoch, counters, new Uint8Array(0)));
}

/** A row whose id is damaged comes where it does not belong, and is not found by its id: nobody could delete it. */
function inOrder(sequence: number, previous: number): number {
  if (sequence <= previous) throw new DamagedBufferError(`row ${sequence} comes after row ${previous}`);
  return sequence;
}

function wrongCounters(): DamagedBufferError {
  return new DamagedBufferError('the row of counters fails its checksum');
}

function believed<T>(declaration: T | undefined): T {
  if (declaration === undefined) throw new DamagedBufferError('a row of the catalogue fails its checksum');
  return declaration;
}

/** In the order of the columns. */
function countersOf(state: BufferState): number[] {
  return [
    state.highestSequence,
    state.readingsProduced,
    state.itemsStored,
    state.readingsStored,
    state.bytesStored,
    state.readingsEvicted,
    state.readingsThinned,
    state.itemsQuarantined,
    state.alertCursor,
    state.reservedSequence,
    state.reservedReadings,
    state.crashBound,
    state.isSending ? 1 : 0,
    state.isClosed ? 1 : 0,
    state.isSuspect ? 1 : 0,
    state.segment,
    state.lineUs,
  ];
}

function stateOf(epoch: Buffer, counters: readonly number[], inDoubt: SequenceRange[]): BufferState {
  const [
    highestSequence,
    readingsProduced,
    itemsStored,
    readingsStored,
    bytesStored,
    readingsEvicted,
    readingsThinned,
    itemsQuarantined,
    alertCursor,
    reservedSequence,
    reservedReadings,
    crashBound,
    isSending,
    isClosed,
    isSuspect,
    segment,
    lineUs,
  ] = counters;
  return {
    // Not the row's own buffer: the epoch is compared and sent for as long as the process lives.
    epoch: new Uint8Array(epoch),
    highestSequence,
    readingsProduced,
    itemsStored,
    readingsStored,
    bytesStored,
    readingsEvicted,
    readingsThinned,
    itemsQuarantined,
    alertCursor,
    reservedSequence,
    reservedReadings,
    crashBound,
    isSending: isSending !== 0,
    isClosed: isClosed !== 0,
    isSuspect: isSuspect !== 0,
    segment,
    lineUs,
    inDoubt,
  };
}

function stateChecksum(epoch: Uint8Array, counters: readonly number[], doubt: Uint8Array): number {
  const checksum = crc32(Float64Array.from(counters), crc32(epoch));
  // Of no bytes zlib answers 0, whatever came before.
  return doubt.length === 0 ? checksum : crc32(doubt, checksum);
}

/** Pairs of little-endian doubles. */
function packRanges(ranges: readonly SequenceRange[]): Uint8Array {
  return new Uint8Array(Float64Array.from(ranges.flatMap(({ first, last }) => [first, last])).buffer);
}

function unpackRanges(bytes: Uint8Array): SequenceRange[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ranges: SequenceRange[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    ranges.push({ first: view.getFloat64(at, true), last: view.getFloat64(at + 8, true) });
  }
  return ranges;
}
