import type { Database, Statement } from 'better-sqlite3';
import {
  type Intent,
  type IntentRow,
  intentOfRow,
  rowOfIntent,
  rowOfStatus,
  type StatusRow,
  statusOfRow,
} from './alert-rows.js';
import {
  type AlertTable,
  type IntentOutcome,
  type NewIntent,
  Standing,
  type StoredIntent,
  type StoredStatus,
} from './alert-table.js';

/** The rows about alerts of an open buffer database that has the schema. */
export class SqliteAlertTable implements AlertTable {
  readonly #db: Database;
  readonly #statements = new Map<string, Statement<unknown[], unknown>>();

  constructor(db: Database) {
    this.#db = db;
  }

  has(incidentId: Uint8Array, key: number): boolean {
    return this.#sql('SELECT 1 FROM alerts WHERE incident_id = ? AND state = ?').get(incidentId, key) !== undefined;
  }

  newest(): number {
    return this.#sql('SELECT coalesce(max(id), 0) FROM alerts').pluck().get() as number;
  }

  put(incidentId: Uint8Array, key: number, number: number, keep: number): number {
    const { lastInsertRowid } = this.#sql('INSERT INTO alerts VALUES (NULL, ?, ?, ?)').run(incidentId, key, number);
    const id = Number(lastInsertRowid);
    this.#sql('DELETE FROM alerts WHERE id <= ?').run(id - keep);
    return id;
  }

  deleteAfter(id: number): void {
    this.#sql('DELETE FROM alerts WHERE id > ?').run(id);
    this.#sql('DELETE FROM intents WHERE alert > ?').run(id);
  }

  putIntent(alert: number, { action, standing, body }: Omit<NewIntent, 'alert'>, keepSettled: number): number {
    const id = (this.#sql('SELECT coalesce(max(id), 0) FROM intents').pluck().get() as number) + 1;
    const row = rowOfIntent({ id, alert, action, standing, reason: '', body });
    this.#sql('INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?)').run(...row);
    this.#sql(`DELETE FROM intents WHERE id <= ? AND standing > ${Standing.kept}`).run(id - keepSettled);
    return id;
  }

  settle({ id, standing, reason }: IntentOutcome): void {
    const intent = this.#intent(id);
    // What is settled stays so, whoever says otherwise later.
    if (intent === undefined || intent.standing > Standing.kept) return;
    const body = standing === Standing.kept ? intent.body : new Uint8Array(0);
    this.#replace({ ...intent, standing, reason, body });
  }

  reopen(id: number): void {
    const intent = this.#intent(id);
    if (intent?.standing === Standing.kept) this.#replace({ ...intent, standing: Standing.open, reason: '' });
  }

  waiting(): StoredIntent[] {
    const found: StoredIntent[] = [];
    for (const row of this.#intents()) {
      const intent = intentOfRow(row);
      if (intent === undefined || intent.standing > Standing.kept) continue;
      const { id, action, standing, body } = intent;
      found.push({ id, action, standing: standing as StoredIntent['standing'], body });
    }
    return found;
  }

  damaged(): number[] {
    return this.#intents().flatMap((row) => (intentOfRow(row) === undefined ? [row[0]] : []));
  }

  removeIntent(id: number): void {
    this.#sql('DELETE FROM intents WHERE id = ?').run(id);
  }

  statuses(): StoredStatus[] {
    const rows = this.#sql('SELECT * FROM statuses ORDER BY name').raw().all() as StatusRow[];
    return rows.map(statusOfRow).filter((status) => status !== undefined);
  }

  putStatus(status: StoredStatus): void {
    // A higher id with each change: of several images of a damaged file the newest can be told.
    const id = (this.#sql('SELECT coalesce(max(id), 0) FROM statuses').pluck().get() as number) + 1;
    this.#sql('INSERT OR REPLACE INTO statuses VALUES (?, ?, ?, ?, ?, ?)').run(...rowOfStatus(id, status));
  }

  #intent(id: number): Intent | undefined {
    const row = this.#sql('SELECT * FROM intents WHERE id = ?').raw().get(id) as IntentRow | undefined;
    return row === undefined ? undefined : intentOfRow(row);
  }

  #replace(intent: Intent): void {
    this.#sql('INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?, ?, ?)').run(...rowOfIntent(intent));
  }

  #intents(): IntentRow[] {
    return this.#sql('SELECT * FROM intents ORDER BY id').raw().all() as IntentRow[];
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
