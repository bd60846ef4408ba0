import type Database from 'better-sqlite3';
import { CHUNK_BYTES_MAX, readChunk } from '../chunk.js';
import type { CheckedItem } from '../store.js';
import { ChunkTable } from './chunk-table.js';

/** Index entries that one step looks at, and bytes that it rewrites: some 20 ms during which commits wait. */
const ROWS_PER_STEP = 20_000;
const BYTES_PER_STEP = 2 * 1024 * 1024;

/** Free pages handed back to the file system in one step. */
const PAGES_PER_STEP = 2_000;

/**
 * A group is rewritten when it becomes at least twice its largest member, so that no byte is rewritten more than
 * log2(64 KiB / smallest) times.
 */
const GROWTH_MIN = 2;

/** Event time that a merged chunk may span: a narrow query and retention then never touch much more than they want. */
const SPAN_US_MAX = 24 * 3600 * 1e6;

export interface CompactCursor {
  deviceId: number;
  epochId: number;
  firstSequence: number;
}

export interface CompactStep {
  bytesSaved: number;
  next: CompactCursor | undefined;
}

interface IndexRow {
  chunk_id: number;
  device_id: number;
  epoch_id: number;
  first_sequence: number;
  last_sequence: number;
  position: number;
  bytes: number;
  derived_mark: number;
}

/** Merges small chunks that follow one another in sequence and are digested. */
export class Compaction {
  readonly #db: Database.Database;
  readonly #chunks: ChunkTable;
  readonly #select;
  readonly #body;
  readonly #delete;
  readonly #run;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#chunks = new ChunkTable(db);
    this.#select = db.prepare<[number, number, number, number], IndexRow>(
      `SELECT chunk_id, device_id, epoch_id, first_sequence, last_sequence, chunks.position, bytes, derived_mark
       FROM chunks JOIN devices USING (device_id) WHERE (device_id, epoch_id, first_sequence) >= (?, ?, ?)
       ORDER BY device_id, epoch_id, first_sequence LIMIT ?`,
    );
    this.#body = db.prepare<[number], { first_us: number | null; last_us: number | null; body: Buffer }>(
      'SELECT first_us, last_us, body FROM chunks WHERE chunk_id = ?',
    );
    this.#delete = db.prepare('DELETE FROM chunks WHERE chunk_id = ?');
    this.#run = db.transaction((cursor: CompactCursor) => this.#step(cursor)).immediate;
  }

  /** One bounded transaction; `next` is undefined at the end. */
  compactStep(cursor: CompactCursor | undefined): CompactStep {
    const step = this.#run(cursor ?? { deviceId: 0, epochId: 0, firstSequence: 0 });
    this.#db.pragma(`incremental_vacuum(${PAGES_PER_STEP})`);
    return step;
  }

  #step(cursor: CompactCursor): CompactStep {
    const rows = this.#select.all(cursor.deviceId, cursor.epochId, cursor.firstSequence, ROWS_PER_STEP);
    let bytesSaved = 0;
    let bytesRead = 0;
    let at = 0;
    while (at < rows.length && bytesRead < BYTES_PER_STEP) {
      const end = groupEnd(rows, at);
      if (end === rows.length && rows.length === ROWS_PER_STEP && at > 0) break;
      const group = rows.slice(at, end);
      // Its first row may be nearly full while those after it belong together.
      if (!isWorthwhile(group)) {
        at++;
        continue;
      }
      bytesRead += group.reduce((sum, row) => sum + row.bytes, 0);
      const merged = this.#merge(group);
      bytesSaved += merged.bytesSaved;
      at += merged.rows;
    }
    const next = rows[at];
    if (next === undefined) {
      const last = rows.at(-1);
      if (rows.length < ROWS_PER_STEP || last === undefined) return { bytesSaved, next: undefined };
      const { device_id: deviceId, epoch_id: epochId, last_sequence } = last;
      return { bytesSaved, next: { deviceId, epochId, firstSequence: last_sequence + 1 } };
    }
    return {
      bytesSaved,
      next: { deviceId: next.device_id, epochId: next.epoch_id, firstSequence: next.first_sequence },
    };
  }

  /** Merges as much of the group as one day allows; answers how many rows are dealt with. */
  #merge(group: readonly IndexRow[]): { rows: number; bytesSaved: number } {
    const items: CheckedItem[] = [];
    let bytesBefore = 0;
    let firstUs = Number.POSITIVE_INFINITY;
    let lastUs = Number.NEGATIVE_INFINITY;
    let rows = 0;
    for (const row of group) {
      const chunk = this.#body.get(row.chunk_id);
      const part = chunk === undefined ? undefined : readChunk(chunk.body);
      // Damaged: left as it is, for salvage.
      if (chunk === undefined || part === undefined) break;
      firstUs = Math.min(firstUs, chunk.first_us ?? firstUs);
      lastUs = Math.max(lastUs, chunk.last_us ?? lastUs);
      if (lastUs - firstUs > SPAN_US_MAX) break;
      for (const item of part) items.push(item);
      bytesBefore += row.bytes + ROW_OVERHEAD_BYTES;
      rows++;
    }
    const merging = group.slice(0, rows);
    if (!isWorthwhile(merging)) return { rows: Math.max(1, rows), bytesSaved: 0 };
    const { device_id, epoch_id } = group[0];
    const position = merging.reduce((highest, row) => Math.max(highest, row.position), 0);
    for (const row of merging) this.#delete.run(row.chunk_id);
    const bytes = this.#chunks.insertItems(device_id, epoch_id, position, items) + ROW_OVERHEAD_BYTES;
    return { rows, bytesSaved: bytesBefore - bytes };
  }
}

/** A row's columns beside its body, and its three index entries. */
const ROW_OVERHEAD_BYTES = 100;

/** Where a group of rows that could be one chunk ends. */
function groupEnd(rows: readonly IndexRow[], from: number): number {
  let bytes = rows[from].bytes;
  let to = from + 1;
  if (rows[from].position > rows[from].derived_mark) return to;
  for (; to < rows.length; to++) {
    const row = rows[to];
    const previous = rows[to - 1];
    bytes += row.bytes;
    const follows =
      row.device_id === previous.device_id &&
      row.epoch_id === previous.epoch_id &&
      row.first_sequence === previous.last_sequence + 1 &&
      row.position <= row.derived_mark;
    // Short of the full size, because a merged item's head may be a few bytes longer than it was at a chunk's start.
    if (!follows || bytes > CHUNK_BYTES_MAX - 1024) break;
  }
  return to;
}

function isWorthwhile(group: readonly IndexRow[]): boolean {
  if (group.length < 2) return false;
  const bytes = group.reduce((sum, row) => sum + row.bytes, 0);
  const largest = group.reduce((most, row) => Math.max(most, row.bytes), 0);
  return bytes >= GROWTH_MIN * largest;
}
