import { ItemKind, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type Database from 'better-sqlite3';
import { readChunk } from '../chunk.js';
import type { CheckedItem } from '../store.js';
import { hasReadings, readingsIn } from '../thinned-item.js';
import { ChunkTable, SPAN_CLASS_MAX } from './chunk-table.js';
import { ThinnedTable } from './thinned-table.js';

/** Chunks in one transaction: 4 MiB, some 20 ms during which commits wait. */
const CHUNKS_PER_STEP = 64;

/** Where the next step goes on. */
export interface ExpireCursor {
  deviceId: number;
  spanClass: number;
  firstUs: number;
  chunkId: number;
}

export interface ExpireStep {
  readings: number;
  next: ExpireCursor | undefined;
}

interface ChunkRow {
  chunk_id: number;
  epoch_id: number;
  first_sequence: number;
  position: number;
  first_us: number;
  body: Buffer;
}

/** A run of consecutive items that expire together, and whose counts follow one another. */
interface ExpiredRun {
  first: number;
  last: number;
  readings: number;
  readingsBefore: number;
}

interface Neighbour {
  first: number;
  last: number;
  readings: number;
  readings_before: number | null;
}

/** Removes what is old and writes into the ledger that it did, with exact counts. */
export class Retention {
  readonly #chunks: ChunkTable;
  readonly #thinned: ThinnedTable;
  readonly #nextDevice;
  readonly #select;
  readonly #delete;
  readonly #endingAt;
  readonly #beginningAt;
  readonly #deleteEntry;
  readonly #putEntry;
  readonly #countDevice;
  readonly #countEpoch;
  readonly #run;

  constructor(db: Database.Database) {
    this.#chunks = new ChunkTable(db);
    this.#thinned = new ThinnedTable(db);
    this.#nextDevice = db
      .prepare<[number], number>('SELECT device_id FROM devices WHERE device_id >= ? ORDER BY device_id LIMIT 1')
      .pluck();
    this.#select = db.prepare<[number, number, number, number, number, number], ChunkRow>(
      `SELECT chunk_id, epoch_id, first_sequence, position, first_us, body FROM chunks
       WHERE device_id = ? AND span_class = ? AND first_us < ? AND (first_us, chunk_id) > (?, ?)
         AND position <= (SELECT derived_mark FROM devices WHERE devices.device_id = chunks.device_id)
       ORDER BY first_us, chunk_id LIMIT ?`,
    );
    this.#delete = db.prepare('DELETE FROM chunks WHERE chunk_id = ?');
    const entry =
      'SELECT first, last, readings, readings_before FROM ledger WHERE device_id = ? AND epoch_id = ? AND reason = ?';
    const newest = `${entry} AND first <= ? ORDER BY first DESC, last DESC LIMIT 1`;
    this.#endingAt = db.prepare<[number, number, number, number], Neighbour>(newest);
    this.#beginningAt = db.prepare<[number, number, number, number], Neighbour>(`${entry} AND first = ? LIMIT 1`);
    this.#deleteEntry = db.prepare(
      'DELETE FROM ledger WHERE device_id = ? AND epoch_id = ? AND reason = ? AND first = ? AND last = ?',
    );
    this.#putEntry = db.prepare(
      `INSERT OR REPLACE INTO ledger (device_id, epoch_id, reason, first, last, readings, bound, readings_before)
       VALUES (?, ?, ?, ?, ?, ?, 0, ?)`,
    );
    this.#countDevice = db.prepare(
      `UPDATE devices SET items_stored = items_stored - ?, readings_stored = readings_stored - ?,
         expired_before_us = max(coalesce(expired_before_us, ?), ?) WHERE device_id = ?`,
    );
    this.#countEpoch = db.prepare(
      `UPDATE epochs SET items_stored = items_stored - ?, readings_stored = readings_stored - ?
       WHERE device_id = ? AND epoch_id = ?`,
    );
    this.#run = db.transaction((beforeUs: number, cursor: ExpireCursor) => this.#step(beforeUs, cursor)).immediate;
  }

  /** One bounded transaction; `next` is undefined when there is nothing left to look at. */
  expireStep(beforeUs: number, cursor: ExpireCursor | undefined): ExpireStep {
    return this.#run(beforeUs, cursor ?? startOf(1));
  }

  #step(beforeUs: number, cursor: ExpireCursor): ExpireStep {
    const deviceId = this.#nextDevice.get(cursor.deviceId);
    if (deviceId === undefined) return { readings: 0, next: undefined };
    let at = deviceId === cursor.deviceId ? cursor : startOf(deviceId);
    let readings = 0;
    let left = CHUNKS_PER_STEP;
    for (let spanClass = at.spanClass; spanClass <= SPAN_CLASS_MAX; spanClass++) {
      const rows = this.#select.all(deviceId, spanClass, beforeUs, at.firstUs, at.chunkId, left);
      for (const row of rows) readings += this.#expireChunk(deviceId, row, beforeUs);
      const last = rows.at(-1);
      if (rows.length === left && last !== undefined) {
        return { readings, next: { deviceId, spanClass, firstUs: last.first_us, chunkId: last.chunk_id } };
      }
      left -= rows.length;
      at = startOf(deviceId);
    }
    return { readings, next: startOf(deviceId + 1) };
  }

  #expireChunk(deviceId: number, row: ChunkRow, beforeUs: number): number {
    const items = readChunk(row.body);
    // Damaged: it stays for whoever wants to salvage it, and the audit counts it as missing.
    if (items === undefined) return 0;
    const batches = items.filter((item) => hasReadings(item.kind));
    const allOld = batches.every((item) => item.lastUs < beforeUs);
    // What has no time of its own goes with the batches around it.
    const isOld = (item: CheckedItem) => (hasReadings(item.kind) ? item.lastUs < beforeUs : allOld);
    const old = items.filter(isOld);
    if (old.length === 0) return 0;
    this.#delete.run(row.chunk_id);
    const kept = items.filter((item) => !isOld(item));
    this.#chunks.insertItems(deviceId, row.epoch_id, row.position, kept);
    for (const run of runsOf(old)) this.#note(deviceId, row.epoch_id, run);
    for (const { kind, sequence } of old) {
      if (kind === ItemKind.THINNED_BATCH) this.#thinned.expire(deviceId, row.epoch_id, sequence);
    }
    const readings = old.reduce((sum, item) => sum + readingsIn(item), 0);
    this.#countDevice.run(old.length, readings, beforeUs, beforeUs, deviceId);
    this.#countEpoch.run(old.length, readings, deviceId, row.epoch_id);
    return readings;
  }

  /** Writes the run into the ledger, joined to the runs on both its sides, so that years of expiry stay one row. */
  #note(deviceId: number, epochId: number, run: ExpiredRun): void {
    let { first, last, readings, readingsBefore } = run;
    const reason = LossReason.EXPIRED;
    const before = this.#endingAt.get(deviceId, epochId, reason, first - 1);
    const joinsBefore =
      before !== undefined &&
      before.readings_before !== null &&
      before.last === first - 1 &&
      before.readings_before + before.readings === readingsBefore;
    if (joinsBefore) {
      this.#deleteEntry.run(deviceId, epochId, reason, before.first, before.last);
      first = before.first;
      readings += before.readings;
      readingsBefore = before.readings_before as number;
    }
    const after = this.#beginningAt.get(deviceId, epochId, reason, last + 1);
    if (after !== undefined && after.readings_before === readingsBefore + readings) {
      this.#deleteEntry.run(deviceId, epochId, reason, after.first, after.last);
      last = after.last;
      readings += after.readings;
    }
    this.#putEntry.run(deviceId, epochId, reason, first, last, readings, readingsBefore);
  }
}

function startOf(deviceId: number): ExpireCursor {
  return { deviceId, spanClass: 0, firstUs: Number.NEGATIVE_INFINITY, chunkId: 0 };
}

function runsOf(items: readonly CheckedItem[]): ExpiredRun[] {
  const runs: ExpiredRun[] = [];
  for (const { sequence, readings, readingsBefore } of items) {
    const run = runs.at(-1);
    if (run !== undefined && run.last === sequence - 1 && run.readingsBefore + run.readings === readingsBefore) {
      run.last = sequence;
      run.readings += readings;
    } else {
      runs.push({ first: sequence, last: sequence, readings, readingsBefore });
    }
  }
  return runs;
}
