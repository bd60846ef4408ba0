import { crc32 } from 'node:zlib';
import type { SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';
import type { Database, Statement } from 'better-sqlite3';
import type { BufferState, ItemHeader, ItemTable, QuarantineNote } from './item-table.js';

/** The file's bytes are not those of a buffer; it must be moved aside. */
export class DamagedBufferError extends Error {
  override readonly name = 'DamagedBufferError';
}

const HEADER_COLUMNS = 'sequence, kind, readings, readings_before AS readingsBefore, length(body) AS bodyBytes';
const ITEM_COLUMNS = 'sequence, kind, checksum, readings, readings_before AS readingsBefore, body';

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
    this.#sql('INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      state.epoch,
      ...countersOf(state),
      stateChecksum(state),
    );
  }

  put(item: Item): void {
    const { sequence, kind, checksum, readings, readingsBefore, body } = item;
    this.#sql('INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)').run(
      sequence,
      kind,
      checksum,
      readings,
      readingsBefore,
      body,
    );
  }

  deleteRange(first: number, last: number): void {
    this.#sql('DELETE FROM items WHERE sequence BETWEEN ? AND ?').run(first, last);
  }

  headers(first: number, last: number, limit: number): ItemHeader[] {
    const sql = `SELECT ${HEADER_COLUMNS} FROM items WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?`;
    return this.#sql(sql).all(first, last, limit) as ItemHeader[];
  }

  totals(): { items: number; readings: number } {
    const sql = 'SELECT count(*) AS items, coalesce(sum(readings), 0) AS readings FROM items';
    return this.#sql(sql).get() as { items: number; readings: number };
  }

  headerBefore(sequence: number): ItemHeader | undefined {
    const sql = `SELECT ${HEADER_COLUMNS} FROM items WHERE sequence < ? ORDER BY sequence DESC LIMIT 1`;
    return this.#sql(sql).get(sequence) as ItemHeader | undefined;
  }

  items(from: number, limit: number, maxBytes: number): Item[] {
    const found: Item[] = [];
    let bytes = 0;
    const sql = `SELECT ${ITEM_COLUMNS} FROM items WHERE sequence >= ? ORDER BY sequence LIMIT ?`;
    for (const row of this.#sql(sql).iterate(from, limit)) {
      const item = row as Item;
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
  const sql = `SELECT epoch, highest_sequence AS highestSequence, readings_produced AS readingsProduced,
    items_stored AS itemsStored, readings_stored AS readingsStored, bytes_stored AS bytesStored,
    readings_evicted AS readingsEvicted, items_quarantined AS itemsQuarantined, alert_cursor AS alertCursor,
    checksum FROM state`;
  const row = db.prepare(sql).get() as (BufferState & { checksum: number }) | undefined;
  if (row === undefined) return undefined;
  const { checksum, ...state } = row;
  if (stateChecksum(state) !== checksum) throw new DamagedBufferError('the row of counters fails its checksum');
  // Not the row's own buffer: the epoch is compared and sent for as long as the process lives.
  return { ...state, epoch: new Uint8Array(state.epoch) };
}

function countersOf(state: BufferState): number[] {
  return [
    state.highestSequence,
    state.readingsProduced,
    state.itemsStored,
    state.readingsStored,
    state.bytesStored,
    state.readingsEvicted,
    state.itemsQuarantined,
    state.alertCursor,
  ];
}

function stateChecksum(state: BufferState): number {
  return crc32(Float64Array.from(countersOf(state)), crc32(state.epoch));
}
