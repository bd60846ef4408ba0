import type Database from 'better-sqlite3';
import type { IncidentEvents } from './incident-events.js';
import type { NotificationQueue } from './notification-queue.js';

/** Rows that one step removes, series and incidents that it looks at: some 20 ms during which commits wait. */
const ROWS_PER_STEP = 5000;
const SERIES_PER_STEP = 500;
const INCIDENTS_PER_STEP = 500;

interface OldIncident {
  incidentRow: number;
  deviceId: number;
  incidentId: Buffer;
  isOld: number;
}

/** Where the next step goes on: the last series, or the last incident, that is dealt with. */
export interface DerivedRetentionStep {
  removed: number;
  next: number | undefined;
}

/** Removes old rollups, incidents and silences, a bounded number in each transaction. */
export class DerivedRetention {
  readonly #rollups;
  readonly #incidents;

  constructor(db: Database.Database, events: IncidentEvents, queue: NotificationQueue) {
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
    const old = db.prepare<[number, number, number], OldIncident>(
      `SELECT incident_row AS incidentRow, device_id AS deviceId, incident_id AS incidentId,
         coalesce(resolved_at_us < ?, 0) AS isOld
       FROM incidents WHERE incident_row > ? ORDER BY incident_row LIMIT ?`,
    );
    const removeAlerts = db.prepare('DELETE FROM alerts WHERE device_id = ? AND incident_id = ?');
    const removeIncident = db.prepare('DELETE FROM incidents WHERE incident_row = ?');
    const removeSilences = db.prepare('DELETE FROM silences WHERE until_us < ?');
    this.#incidents = db.transaction((beforeUs: number, after: number): DerivedRetentionStep => {
      if (after === 0) removeSilences.run(beforeUs);
      const rows = old.all(beforeUs, after, INCIDENTS_PER_STEP);
      let removed = 0;
      for (const { incidentRow, deviceId, incidentId, isOld } of rows) {
        if (isOld === 0) continue;
        events.remove(deviceId, incidentId);
        queue.removeIncident(deviceId, incidentId);
        removed += removeAlerts.run(deviceId, incidentId).changes;
        removeIncident.run(incidentRow);
      }
      return { removed, next: rows.length < INCIDENTS_PER_STEP ? undefined : rows.at(-1)?.incidentRow };
    }).immediate;
  }

  /** Rollups that begin before this, both steps of them. */
  expireRollupsStep(beforeUs: number, after: number): DerivedRetentionStep {
    return this.#rollups(beforeUs, after);
  }

  /** Incidents that ended before this, with their alerts, and silences; answers how many alerts. */
  expireIncidentsStep(beforeUs: number, after: number): DerivedRetentionStep {
    return this.#incidents(beforeUs, after);
  }
}
