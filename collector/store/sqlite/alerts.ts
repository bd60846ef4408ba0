import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { IncidentEvents } from './incident-events.js';

export interface AlertFilter {
  deviceId?: number;
  range?: { fromUs: number; untilUs: number };
  firingOnly: boolean;
}

/** Alerts whose delivery one transaction notes: some 20 ms during which commits wait. */
const ACKNOWLEDGE_MAX = 1000;

interface DeliveredRow {
  number: number;
  incidentId: Buffer;
  state: AlertState;
}

interface AlertRow {
  alert_id: number;
  number: number;
  message: Buffer;
}

/** Incident transitions, numbered by their device's own counter. */
export class AlertTable {
  readonly #readAfter;
  readonly #list;
  readonly #acknowledge;
  readonly #resume;

  constructor(db: Database.Database, events: IncidentEvents) {
    this.#readAfter = db.prepare<[number, number, number], AlertRow>(
      `SELECT alert_id, number, message FROM alerts WHERE device_id = ? AND number > ? AND number > 0
       ORDER BY number LIMIT ?`,
    );
    this.#list = db.prepare<unknown[], AlertRow>(
      `SELECT alert_id, number, message FROM alerts AS a
       WHERE alert_id > :after AND (:deviceId IS NULL OR device_id = :deviceId)
         AND (:fromUs IS NULL OR (transition_at_us >= :fromUs AND transition_at_us < :untilUs))
         AND (:firingOnly = 0 OR (state = ${AlertState.FIRING} AND late = 0 AND EXISTS (
           SELECT 1 FROM incidents AS i
           WHERE i.device_id = a.device_id AND i.incident_id = a.incident_id AND i.resolved_at_us IS NULL)))
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
    const delivered = db.prepare<[number, number, number, number], DeliveredRow>(
      `SELECT number, incident_id AS incidentId, state FROM alerts WHERE device_id = ? AND number > ? AND number <= ?
       ORDER BY number LIMIT ?`,
    );
    const moveCursor = db.prepare(
      'UPDATE devices SET alert_cursor = max(alert_cursor, min(?, alert_number)) WHERE device_id = ?',
    );
    this.#acknowledge = db.transaction((deviceId: number, cursor: number, nowUs: number): boolean => {
      const device = numbers.get(deviceId);
      if (device === undefined || cursor <= device.alert_cursor) return true;
      const rows = delivered.all(deviceId, device.alert_cursor, cursor, ACKNOWLEDGE_MAX);
      for (const { incidentId, state } of rows) {
        const text = state === AlertState.FIRING ? 'firing' : 'resolved';
        events.addOnce(deviceId, incidentId, { kind: IncidentEventKind.DELIVERED, atUs: nowUs, by: '', text });
      }
      const isDone = rows.length < ACKNOWLEDGE_MAX;
      moveCursor.run(isDone ? cursor : rows[rows.length - 1].number, deviceId);
      return isDone;
    }).immediate;
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

  /** Notes a bounded number of alerts as delivered; answers whether the cursor has come to where it was to go. */
  acknowledgeStep(deviceId: number, cursor: number, nowUs: number): boolean {
    return this.#acknowledge(deviceId, cursor, nowUs);
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
