import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

/**
 * What lies in the buffer of an agent that is not running, read by nothing of the agent's own: a copy of database and log
 * is opened, so that the file stays as it was left.
 */
export function readDeadBuffer(path: string): DeadBuffer {
  const folder = mkdtempSync(join(dirname(path), 'dead-'));
  try {
    const copy = join(folder, 'buffer.db');
    for (const part of ['', '-wal']) if (existsSync(`${path}${part}`)) copyFileSync(`${path}${part}`, `${copy}${part}`);
    const db = new Database(copy);
    try {
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
    } finally {
      db.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
