import type { Silence } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import { SILENCES_MAX } from '../incidents.js';
import type { NotificationQueue } from './notification-queue.js';

interface SilenceRow {
  silenceId: number;
  matchers: string;
  fromUs: number;
  untilUs: number;
  comment: string;
  createdBy: string;
  createdAtUs: number;
}

const COLUMNS = `silence_id AS silenceId, matchers, from_us AS fromUs, until_us AS untilUs, comment,
  created_by AS createdBy, created_at_us AS createdAtUs`;

/** What people want to hear nothing of for a while. */
export class SilenceTable {
  readonly #list;
  readonly #active;
  readonly #create;
  readonly #expire;

  constructor(db: Database.Database, queue: NotificationQueue) {
    this.#list = db.prepare<[number, number, number], SilenceRow>(
      `SELECT ${COLUMNS} FROM silences WHERE until_us > ? AND silence_id < ? ORDER BY silence_id DESC LIMIT ?`,
    );
    this.#active = db.prepare<[number, number], SilenceRow>(
      `SELECT ${COLUMNS} FROM silences WHERE until_us > ? AND from_us <= ? ORDER BY silence_id`,
    );
    const count = db.prepare<[number], number>('SELECT count(*) FROM silences WHERE until_us > ?').pluck();
    const insert = db.prepare(
      `INSERT INTO silences (matchers, from_us, until_us, comment, created_by, created_at_us)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#create = db.transaction((silence: Silence): Silence | undefined => {
      const { matchers, fromUs, untilUs, comment, createdBy, createdAtUs } = silence;
      if ((count.get(createdAtUs) ?? 0) >= SILENCES_MAX) return undefined;
      const text = JSON.stringify(matchers?.globs ?? {});
      const { lastInsertRowid } = insert.run(text, fromUs, untilUs, comment, createdBy, createdAtUs);
      return { ...silence, silenceId: String(lastInsertRowid) };
    }).immediate;
    const find = db.prepare<[string], { fromUs: number; untilUs: number }>(
      'SELECT from_us AS fromUs, until_us AS untilUs FROM silences WHERE silence_id = CAST(? AS INTEGER)',
    );
    // One that has not begun never does.
    const end = db.prepare('UPDATE silences SET until_us = max(from_us, ?) WHERE silence_id = CAST(? AS INTEGER)');
    this.#expire = db.transaction((silenceId: string, nowUs: number) => {
      const silence = find.get(silenceId);
      if (silence === undefined) return 'unknown' as const;
      if (silence.untilUs <= Math.max(nowUs, silence.fromUs)) return 'over' as const;
      end.run(nowUs, silenceId);
      queue.release(nowUs);
      return 'expired' as const;
    }).immediate;
  }

  /** See {@link Store.createSilence}. */
  create(silence: Silence): Silence | undefined {
    return this.#create(silence);
  }

  /** See {@link Store.listSilences}. */
  list(endAfterUs: number, after: number, limit: number): { silences: Silence[]; next: number } {
    const rows = this.#list.all(endAfterUs, after === 0 ? Number.MAX_SAFE_INTEGER : after, limit);
    return { silences: rows.map(toSilence), next: rows.length < limit ? 0 : (rows.at(-1)?.silenceId ?? 0) };
  }

  /** See {@link Store.activeSilences}. */
  active(nowUs: number): Silence[] {
    return this.#active.all(nowUs, nowUs).map(toSilence);
  }

  /** See {@link Store.expireSilence}. */
  expire(silenceId: string, nowUs: number): 'expired' | 'over' | 'unknown' {
    return this.#expire(silenceId, nowUs);
  }
}

function toSilence({ silenceId, matchers, ...rest }: SilenceRow): Silence {
  return { ...rest, silenceId: String(silenceId), matchers: { globs: JSON.parse(matchers) as Record<string, string> } };
}
