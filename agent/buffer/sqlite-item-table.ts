import { crc32 } from 'node:zlib';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';
import type { Database, Statement } from 'better-sqlite3';
import type { BufferedItem, BufferState, ItemHeader, ItemTable, QuarantineNote } from './item-table.js';

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
  readonly #db: Database;
  readonly #statements = new Map<string, Statement<unknown[], unknown>>();
  #synchronousAsserted = false;

  constructor(db: Database) {
    this.#db = db;
  }

  begin(): void {
    this.#sql('BEGIN IMMEDIATE').run();
  }

  commit(): void {
    this.#sql('COMMIT').run();
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
  }

  headers(first: number, last: number, limit: number): ItemHeader[] {
    const sql = `SELECT ${HEADER_COLUMNS} FROM items WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?`;
    const rows = this.#sql(sql).all(first, last, limit) as ItemHeader[];
    for (const row of rows) row.isProtected = Boolean(row.isProtected);
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
    const sql = `SELECT ${ITEM_COLUMNS} FROM items WHERE sequence >= ? ORDER BY sequence LIMIT ?`;
    for (const row of this.#sql(sql).iterate(from, limit)) {
      const item = row as BufferedItem;
      item.isProtected = Boolean(item.isProtected);
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
    const rows = this.#sql('SELECT id, name, unit, labels, type FROM series ORDER BY id').all();
    return (rows as (Omit<SeriesDeclaration, 'labels'> & { labels: string })[]).map((row) => ({
      ...row,
      labels: JSON.parse(row.labels) as Record<string, string>,
    }));
  }

  putSeries(series: SeriesDeclaration): void {
    const { id, name, unit, labels, type } = series;
    this.#sql('INSERT INTO series VALUES (?, ?, ?, ?, ?)').run(id, name, unit, JSON.stringify(labels), type);
  }

  segments(): SegmentDeclaration[] {
    const sql = `SELECT id, boot_id AS bootId, offset_us AS offsetUs, observed_at_us AS observedAtUs,
      uncertainty_us AS uncertaintyUs, state FROM segments ORDER BY id`;
    return this.#sql(sql).all() as SegmentDeclaration[];
  }

  putSegment(segment: SegmentDeclaration): void {
    const { id, bootId, offsetUs, observedAtUs, uncertaintyUs, state } = segment;
    this.#sql('INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)').run(
      id,
      bootId,
      offsetUs,
      observedAtUs,
      uncertaintyUs,
      state,
    );
  }

  anchors(): ClockAnchor[] {
    const sql = `SELECT id, segment, at_us AS atUs, offset_us AS offsetUs, uncertainty_us AS uncertaintyUs, state
      FROM anchors ORDER BY id`;
    return this.#sql(sql).all() as ClockAnchor[];
  }

  putAnchor(anchor: ClockAnchor): void {
    const { id, segment, atUs, offsetUs, uncertaintyUs, state } = anchor;
    this.#sql('INSERT INTO anchors VALUES (?, ?, ?, ?, ?, ?)').run(id, segment, atUs, offsetUs, uncertaintyUs, state);
  }

  hasAlert(incidentId: Uint8Array, state: number): boolean {
    return this.#sql('SELECT 1 FROM alerts WHERE incident_id = ? AND state = ?').get(incidentId, state) !== undefined;
  }

  putAlert(incidentId: Uint8Array, state: number, number: number, keepAlerts: number): void {
    const sql = 'INSERT INTO alerts VALUES (NULL, ?, ?, ?)';
    const { lastInsertRowid } = this.#sql(sql).run(incidentId, state, number);
    this.#sql('DELETE FROM alerts WHERE id <= ?').run(Number(lastInsertRowid) - keepAlerts);
  }

  deleteAlertsAfter(number: number): void {
    this.#sql('DELETE FROM alerts WHERE number > ?').run(number);
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
  const row = db.prepare('SELECT * FROM state').raw().get() as StateRow | undefined;
  if (row === undefined) return undefined;
  const [, epoch, ...rest] = row;
  const checksum = rest.pop() as number;
  const doubt = rest.pop() as Buffer;
  const counters = rest as number[];
  if (stateChecksum(epoch, counters, doubt) !== checksum) throw wrongCounters();
  return stateOf(epoch, counters, unpackRanges(doubt));
}

type StateRow = [id: number, epoch: Buffer, ...rest: (number | Buffer)[]];

/**
 * The row that the second version of the tables has taken over from the first is given its own checksum, if the one that
 * it came with is right. Throws `DamagedBufferError`.
 */
export function restampState(db: Database): void {
  const row = db.prepare('SELECT * FROM state').raw().get() as StateRow | undefined;
  if (row === undefined) return;
  const [, epoch, ...rest] = row;
  const [highest, produced, items, readings, bytes, evicted, , quarantined, cursor, ...added] = rest as number[];
  const first = [highest, produced, items, readings, bytes, evicted, quarantined, cursor];
  if (crc32(Float64Array.from(first), crc32(epoch)) !== added.pop()) throw wrongCounters();
  const counters = (rest as number[]).slice(0, -2);
  db.prepare('UPDATE state SET checksum = ?').run(stateChecksum(epoch, counters, new Uint8Array(0)));
}

function wrongCounters(): DamagedBufferError {
  return new DamagedBufferError('the row of counters fails its checksum');
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
