import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import Database from 'better-sqlite3';

export interface DeadBuffer {
  /** Hexadecimal. */
  epoch: string;
  highestSequence: number;
  /** Readings that were ever committed to it, in its epoch. */
  readingsProduced: number;
  /** What the next start of an agent will count as produced and declare as a bound: readings that a crash may have taken. */
  crashBound: number;
  items: number;
  readingsWaiting: number;
  /** Of what waits, as encoded. */
  bodyBytes: number;
}

/** The greatest value of a series of doubles in the batches that lie in the buffer of an agent that is not running. */
export function greatestWaiting(path: string, series: string): number | undefined {
  return withDeadBuffer(path, (db) => {
    const id = db.prepare('SELECT id FROM series WHERE name = ?').pluck().get(series);
    let greatest: number | undefined;
    for (const body of db.prepare('SELECT body FROM items WHERE kind = 1 ORDER BY sequence').pluck().iterate()) {
      for (const { columns } of decodeBatch(body as Uint8Array, new DecodeArena()).groups) {
        const column = columns.find(({ seriesId }) => seriesId === id);
        for (let at = 0; at < (column?.count ?? 0); at++) greatest = Math.max(greatest ?? 0, column!.values[at]!);
      }
    }
    return greatest;
  });
}

/**
 * What lies in the buffer of an agent that is not running, read by nothing of the agent's own: a copy of database and log
 * is opened, so that the file stays as it was left.
 */
export function readDeadBuffer(path: string): DeadBuffer {
  return withDeadBuffer(path, (db) => {
    const state = db
      .prepare(
        `SELECT hex(epoch) AS epoch, highest_sequence AS highest, readings_produced AS produced,
          CASE WHEN closed THEN 0 WHEN reserved_sequence > highest_sequence THEN reserved_readings ELSE crash_bound
          END AS crashBound FROM state`,
      )
      .get() as { epoch: string; highest: number; produced: number; crashBound: number } | undefined;
    const sums = 'count(*) AS items, coalesce(sum(readings), 0) AS readings, coalesce(sum(length(body)), 0) AS bytes';
    const waiting = db.prepare(`SELECT ${sums} FROM items`).get() as {
      items: number;
      readings: number;
      bytes: number;
    };
    return {
      epoch: (state?.epoch ?? '').toLowerCase(),
      highestSequence: state?.highest ?? 0,
      readingsProduced: state?.produced ?? 0,
      crashBound: state?.crashBound ?? 0,
      items: waiting.items,
      readingsWaiting: waiting.readings,
      bodyBytes: waiting.bytes,
    };
  });
}

function withDeadBuffer<T>(path: string, look: (db: Database.Database) => T): T {
  const folder = mkdtempSync(join(dirname(path), 'dead-'));
  try {
    const copy = join(folder, 'buffer.db');
    for (const part of ['', '-wal']) if (existsSync(`${path}${part}`)) copyFileSync(`${path}${part}`, `${copy}${part}`);
    const db = new Database(copy);
    try {
      return look(db);
    } finally {
      db.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
