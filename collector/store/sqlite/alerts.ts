import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import type { AlertRecord } from '../store.js';

export interface AlertFilter {
  deviceId?: number;
  range?: { fromUs: number; untilUs: number };
  firingOnly: boolean;
}

interface AlertRow {
  alert_id: number;
  number: number;
  message: Buffer;
}

/** Incident transitions, numbered by their device's own counter. */
export class AlertTable {
  readonly #isKnown;
  readonly #takeNumber;
  readonly #insert;
  readonly #readAfter;
  readonly #acknowledge;
  readonly #list;
  readonly #append;
  readonly #resume;

  constructor(db: Database.Database) {
    this.#isKnown = db
      .prepare<[number, Uint8Array, AlertState, number], number>(
        'SELECT 1 FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = ?',
      )
      .pluck();
    this.#takeNumber = db
      .prepare<[number], number>(
        'UPDATE devices SET alert_number = alert_number + 1 WHERE device_id = ? RETURNING alert_number',
      )
      .pluck();
    this.#insert = db.prepare(
      `INSERT INTO alerts (device_id, number, series_id, incident_id, state, rule, severity, started_at_us,
         transition_at_us, late, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#readAfter = db.prepare<[number, number, number], AlertRow>(
      `SELECT alert_id, number, message FROM alerts WHERE device_id = ? AND number > ? AND number > 0
       ORDER BY number LIMIT ?`,
    );
    this.#acknowledge = db.prepare(
      'UPDATE devices SET alert_cursor = max(alert_cursor, min(?, alert_number)) WHERE device_id = ?',
    );
    this.#list = db.prepare<unknown[], AlertRow>(
      `SELECT alert_id, number, message FROM alerts AS a
       WHERE alert_id > :after AND (:deviceId IS NULL OR device_id = :deviceId)
         AND (:fromUs IS NULL OR (transition_at_us >= :fromUs AND transition_at_us < :untilUs))
         AND (:firingOnly = 0 OR (state = ${AlertState.FIRING} AND late = 0 AND NOT EXISTS (
           SELECT 1 FROM alerts AS r
           WHERE r.device_id = a.device_id AND r.incident_id = a.incident_id AND r.state = ${AlertState.RESOLVED})))
       ORDER BY alert_id LIMIT :limit`,
    );
    const numbers = db.prepare<[number], { alert_number: number; alert_cursor: number }>(
      'SELECT alert_number, alert_cursor FROM devices WHERE device_id = ?',
    );
    const unacknowledged = db.prepare<[number, number], AlertRow>(
      'SELECT alert_id, number, message FROM alerts WHERE device_id = ? AND number > ? ORDER BY number DESC',
    );
    const renumber = db.prepare('UPDATE alerts SET number = ?, message = ? WHERE alert_id = ?');
    const raise = db.prepare('UPDATE devices SET alert_number = ?, alert_cursor = ? WHERE device_id = ?');
    this.#resume = db.transaction((deviceId: number, cursor: number): boolean => {
      const device = numbers.get(deviceId);
      if (device === undefined || cursor <= device.alert_number) return false;
      // From the highest on, so that no two have the same number in between.
      const shift = cursor - device.alert_cursor;
      const rows = unacknowledged.all(deviceId, device.alert_cursor);
      for (const row of rows) {
        const number = row.number + shift;
        renumber.run(number, Alert.encode({ ...Alert.decode(row.message), number }).finish(), row.alert_id);
      }
      raise.run(device.alert_number + shift, cursor, deviceId);
      return true;
    }).immediate;
    this.#append = db.transaction((records: readonly AlertRecord[]) => this.#appendAll(records)).immediate;
  }

  /** Stores what is not there yet, by device, incident, state and `late`; answers that, with its numbers. */
  append(records: readonly AlertRecord[]): AlertRecord[] {
    return this.#append(records);
  }

  #appendAll(records: readonly AlertRecord[]): AlertRecord[] {
    const added: AlertRecord[] = [];
    for (const record of records) {
      const { deviceId, seriesId } = record;
      const { incidentId, state, rule, severity, startedAtUs, transitionAtUs, late } = record.alert;
      const lateFlag = late ? 1 : 0;
      if (this.#isKnown.get(deviceId, incidentId, state, lateFlag) !== undefined) continue;
      const number = late ? 0 : this.#takeNumber.get(deviceId);
      if (number === undefined) throw new Error(`an alert is about device ${deviceId}, which is not there`);
      const alert = { ...record.alert, number };
      const message = Alert.encode(alert).finish();
      this.#insert.run(
        deviceId,
        number,
        seriesId,
        incidentId,
        state,
        rule,
        severity,
        startedAtUs,
        transitionAtUs,
        lateFlag,
        message,
      );
      added.push({ deviceId, seriesId, alert });
    }
    return added;
  }

  /** Alerts of a device with a number above the cursor, in order. */
  readAfter(deviceId: number, cursor: number, limit: number): Alert[] {
    return this.#readAfter.all(deviceId, cursor, limit).map(toAlert);
  }

  /**
   * Makes numbers begin above a cursor that is higher than any number given: see {@link Store.resumeAlerts}. Alerts that
   * the device has not acknowledged here get new numbers too.
   */
  resume(deviceId: number, cursor: number): boolean {
    return this.#resume(deviceId, cursor);
  }

  acknowledge(deviceId: number, cursor: number): void {
    this.#acknowledge.run(cursor, deviceId);
  }

  /** In the order in which they were stored; `next` is 0 at the end. */
  list(filter: AlertFilter, after: number, limit: number): { alerts: Alert[]; next: number } {
    const rows = this.#list.all({
      after,
      limit,
      deviceId: filter.deviceId ?? null,
      fromUs: filter.range?.fromUs ?? null,
      untilUs: filter.range?.untilUs ?? null,
      firingOnly: filter.firingOnly ? 1 : 0,
    });
    return { alerts: rows.map(toAlert), next: rows.length < limit ? 0 : (rows.at(-1)?.alert_id ?? 0) };
  }
}

/** The message of a late alert has number 0 inside too. */
function toAlert(row: AlertRow): Alert {
  const alert = Alert.decode(row.message);
  // Decoding a Buffer gives slices of its memory; an answer that travels to another thread must own its bytes.
  return { ...alert, incidentId: Uint8Array.from(alert.incidentId) };
}
