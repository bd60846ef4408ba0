import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';

/** Rows that one step removes, and series that it looks at: some 20 ms during which commits wait. */
const ROWS_PER_STEP = 5000;
const SERIES_PER_STEP = 500;

/** Where the next step goes on: the last series, or the last alert, that is dealt with. */
export interface DerivedRetentionStep {
  removed: number;
  next: number | undefined;
}

/** Removes old rollups and alerts, a bounded number in each transaction. */
export class DerivedRetention {
  readonly #rollups;
  readonly #alerts;

  constructor(db: Database.Database) {
    const series = db.prepare<[number, number], { series_id: number; device_id: number }>(
      'SELECT series_id, device_id FROM series WHERE series_id > ? ORDER BY series_id LIMIT ?',
    );
    // By the key, because there is no index by time: it would cost as much as the rows.
    const removeRollups = db.prepare(
      `DELETE FROM rollups WHERE rowid IN (
         SELECT rowid FROM rollups WHERE device_id = ? AND series_id = ? AND step_seconds = ? AND start < ? LIMIT ?)`,
    );
    this.#rollups = db.transaction((beforeUs: number, after: number): DerivedRetentionStep => {
      let removed = 0;
      let last = after;
      const rows = series.all(after, SERIES_PER_STEP);
      for (const { series_id, device_id } of rows) {
        for (const step of [60, 900]) {
          removed += removeRollups.run(device_id, series_id, step, beforeUs / 1e6, ROWS_PER_STEP - removed).changes;
        }
        if (removed >= ROWS_PER_STEP) return { removed, next: last };
        last = series_id;
      }
      return { removed, next: rows.length < SERIES_PER_STEP ? undefined : last };
    }).immediate;
    const alerts = db
      .prepare<[number, number], number>(
        'SELECT alert_id FROM alerts WHERE alert_id > ? ORDER BY alert_id LIMIT 1 OFFSET ?',
      )
      .pluck();
    // What still fires stays, however long it has been firing.
    const removeAlerts = db.prepare(
      `DELETE FROM alerts WHERE alert_id > :after AND alert_id <= :until AND transition_at_us < :beforeUs
         AND NOT (state = ${AlertState.FIRING} AND late = 0 AND NOT EXISTS (
           SELECT 1 FROM alerts AS r WHERE r.device_id = alerts.device_id AND r.incident_id = alerts.incident_id
             AND r.state = ${AlertState.RESOLVED}))`,
    );
    this.#alerts = db.transaction((beforeUs: number, after: number): DerivedRetentionStep => {
      const next = alerts.get(after, ROWS_PER_STEP - 1);
      const until = next ?? Number.MAX_SAFE_INTEGER;
      return { removed: removeAlerts.run({ after, until, beforeUs }).changes, next };
    }).immediate;
  }

  /** Rollups that begin before this, both steps of them. */
  expireRollupsStep(beforeUs: number, after: number): DerivedRetentionStep {
    return this.#rollups(beforeUs, after);
  }

  /** Alerts whose transition was before this, but not those that still fire. */
  expireAlertsStep(beforeUs: number, after: number): DerivedRetentionStep {
    return this.#alerts(beforeUs, after);
  }
}
