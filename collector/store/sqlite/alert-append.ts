import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { ResolveOutcome } from '../incidents.js';
import type { AlertRecord } from '../store.js';
import type { IncidentEvents } from './incident-events.js';
import { INCIDENT_SELECT, type IncidentTable, type IncidentWithAlertRow, toStoredIncident } from './incident-table.js';
import type { NotificationQueue } from './notification-queue.js';

/**
 * Stores transitions: numbers what is not late by its device's counter, lets the incident follow, and puts it where
 * receivers find it, in one transaction.
 */
export class AlertAppend {
  readonly #incidents: IncidentTable;
  readonly #events: IncidentEvents;
  readonly #queue: NotificationQueue;
  readonly #notified;
  readonly #late;
  readonly #takeNumber;
  readonly #insert;
  readonly #byId;
  readonly #append;
  readonly #resolve;

  constructor(db: Database.Database, incidents: IncidentTable, events: IncidentEvents, queue: NotificationQueue) {
    this.#incidents = incidents;
    this.#events = events;
    this.#queue = queue;
    this.#notified = db
      .prepare<[number, Uint8Array, AlertState], number>(
        'SELECT 1 FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 0',
      )
      .pluck();
    this.#late = db
      .prepare<[number, Uint8Array, AlertState, number, number, number], number | null>(
        `SELECT max(position) FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 1
           AND started_at_us = ? AND transition_at_us = ? AND retracted = ?`,
      )
      .pluck();
    this.#takeNumber = db
      .prepare<[number], number>(
        'UPDATE devices SET alert_number = alert_number + 1 WHERE device_id = ? RETURNING alert_number',
      )
      .pluck();
    this.#insert = db.prepare(
      `INSERT INTO alerts (device_id, number, series_id, incident_id, state, rule, severity, started_at_us,
         transition_at_us, late, retracted, position, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#byId = db.prepare<[Uint8Array], IncidentWithAlertRow>(`${INCIDENT_SELECT} WHERE i.incident_id = ?`);
    this.#append = db.transaction((records: readonly AlertRecord[], nowUs: number): AlertRecord[] => {
      const added: AlertRecord[] = [];
      for (const record of records) {
        const stored = this.#appendOne(record, nowUs);
        if (stored !== undefined) added.push(stored);
      }
      return added;
    }).immediate;
    this.#resolve = db.transaction(this.#resolveByHand.bind(this)).immediate;
  }

  /** See {@link Store.appendAlerts}. */
  append(records: readonly AlertRecord[], nowUs: number): AlertRecord[] {
    return this.#append(records, nowUs);
  }

  /** See {@link Store.resolveIncident}. */
  resolve(incidentId: Uint8Array, by: string, comment: string, nowUs: number): ResolveOutcome {
    return this.#resolve(incidentId, by, comment, nowUs);
  }

  #appendOne(record: AlertRecord, nowUs: number): AlertRecord | undefined {
    const { deviceId, alert, position = 0 } = record;
    const { incidentId, state, late, startedAtUs, transitionAtUs, retracted } = alert;
    const incident = this.#incidents.find(deviceId, incidentId);
    if (!late) {
      const byHand = incident !== undefined && incident.resolvedBy !== '';
      if (byHand && state === AlertState.RESOLVED) {
        const text = 'by its readings too, after it was resolved by hand';
        this.#events.addOnce(deviceId, incidentId, { kind: IncidentEventKind.RESOLVED, atUs: nowUs, by: '', text });
      }
      // What somebody has ended by hand is not told to begin.
      if (byHand || this.#notified.get(deviceId, incidentId, state) !== undefined) return undefined;
    } else if (incident !== undefined) {
      if (this.#incidents.shows(incident, record)) return undefined;
      const known = this.#late.get(deviceId, incidentId, state, startedAtUs, transitionAtUs, retracted ? 1 : 0);
      if (typeof known === 'number' && position <= known) return undefined;
    }
    const { stored, alertId } = this.#store(record);
    this.#incidents.apply(incident, stored, alertId, nowUs);
    if (!late) this.#queue.enqueue(deviceId, incidentId, state, nowUs);
    return stored;
  }

  #store(record: AlertRecord): { stored: AlertRecord; alertId: number } {
    const { deviceId, seriesId, position = 0 } = record;
    const { incidentId, state, rule, severity, startedAtUs, transitionAtUs, late, retracted } = record.alert;
    if (state !== AlertState.FIRING && state !== AlertState.RESOLVED) {
      throw new RangeError(`an alert is ${AlertState[state]}, and only what fires or is resolved is stored`);
    }
    const number = late ? 0 : this.#takeNumber.get(deviceId);
    if (number === undefined) throw new Error(`an alert is about device ${deviceId}, which is not there`);
    const alert = { ...record.alert, number };
    const { lastInsertRowid } = this.#insert.run(
      deviceId,
      number,
      seriesId,
      incidentId,
      state,
      rule,
      severity,
      startedAtUs,
      transitionAtUs,
      late ? 1 : 0,
      retracted ? 1 : 0,
      position,
      Alert.encode(alert).finish(),
    );
    return { stored: { ...record, alert }, alertId: Number(lastInsertRowid) };
  }

  #resolveByHand(incidentId: Uint8Array, by: string, comment: string, nowUs: number): ResolveOutcome {
    const row = this.#byId.get(incidentId);
    if (row === undefined) return { outcome: 'unknown' };
    if (row.resolvedAtUs !== null) return { outcome: 'over' };
    const { deviceId, seriesId, startedAtUs, notified } = row;
    // A device whose clock is ahead may have begun it later than now.
    const transitionAtUs = Math.max(nowUs, startedAtUs);
    const state = AlertState.RESOLVED;
    // Who was told of no beginning, or of an end before late readings opened it again, is told nothing.
    const late = notified === 0 || this.#notified.get(deviceId, incidentId, state) !== undefined;
    const newest = toStoredIncident(row).alert;
    const { stored, alertId } = this.#store({
      deviceId,
      seriesId,
      alert: { ...newest, state, transitionAtUs, late, retracted: false },
      position: row.position,
    });
    this.#incidents.resolveByHand(row, alertId, transitionAtUs, by);
    const event = { kind: IncidentEventKind.RESOLVED_BY_HAND, atUs: nowUs, by, text: comment };
    this.#events.add(deviceId, row.incidentId, event);
    if (!late) this.#queue.enqueue(deviceId, row.incidentId, state, nowUs);
    return { outcome: 'resolved', deviceId, alert: stored.alert };
  }
}
