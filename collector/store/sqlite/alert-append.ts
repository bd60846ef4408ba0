import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { ResolveOutcome } from '../incidents.js';
import type { AlertRecord } from '../store.js';
import type { IncidentEvents } from './incident-events.js';
import {
  INCIDENT_SELECT,
  type IncidentRow,
  type IncidentTable,
  type IncidentWithAlertRow,
  toStoredIncident,
} from './incident-table.js';
import type { NotificationQueue } from './notification-queue.js';

/**
 * Stores transitions: numbers what is not late by its device's counter, lets the incident follow, and puts it where
 * receivers find it, in one transaction.
 */
export class AlertAppend {
  readonly #incidents: IncidentTable;
  readonly #events: IncidentEvents;
  readonly #queue: NotificationQueue;
  readonly #told;
  readonly #saidAgain;
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
    this.#told = db
      .prepare<[number, Uint8Array, AlertState], number>(
        'SELECT transition_at_us FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 0',
      )
      .pluck();
    this.#late = db
      .prepare<[number, Uint8Array, AlertState, number, number, number], number | null>(
        `SELECT max(position) FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 1
           AND started_at_us = ? AND transition_at_us = ? AND retracted = ?`,
      )
      .pluck();
    this.#saidAgain = db.prepare(
      `UPDATE alerts SET position = max(position, ?) WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 1
         AND started_at_us = ? AND transition_at_us = ? AND retracted = ?`,
    );
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

  #appendOne(said: AlertRecord, nowUs: number): AlertRecord | undefined {
    const { deviceId } = said;
    const { incidentId, state } = said.alert;
    const incident = this.#incidents.find(deviceId, incidentId);
    // What was told once is not told again; where late readings had it otherwise meanwhile, it is true all the same.
    const record = this.#isToldOtherwise(incident, said) ? { ...said, alert: { ...said.alert, late: true } } : said;
    const { late } = record.alert;
    if (record.exact !== undefined && incident !== undefined) return this.#correct(record, incident, nowUs);
    if (late ? !this.#isNews(incident, record) : !this.#isUntold(incident, record, nowUs)) return undefined;
    const { stored, alertId } = this.#store(record);
    // What an incident shows already is kept, so that it is known when it comes again, and is no event.
    if (!late || incident === undefined || !this.#incidents.shows(incident, record)) {
      this.#incidents.apply(incident, stored, alertId, nowUs);
    }
    if (!late) this.#queue.enqueue(deviceId, incidentId, state, nowUs);
    return stored;
  }

  #isToldOtherwise(incident: IncidentRow | undefined, record: AlertRecord): boolean {
    const { deviceId, alert, position = 0, exact } = record;
    if (incident === undefined || alert.late || exact !== undefined || incident.resolvedBy !== '') return false;
    if (position <= incident.position || this.#incidents.shows(incident, record)) return false;
    return this.#told.get(deviceId, alert.incidentId, alert.state) !== undefined;
  }

  /** What was told already is not told again, but corrected all the same. */
  #correct(record: AlertRecord, incident: IncidentRow, nowUs: number): AlertRecord | undefined {
    const { deviceId, alert } = record;
    const { incidentId, state } = alert;
    const isTold = alert.late || this.#told.get(deviceId, incidentId, state) !== undefined;
    if (isTold && this.#incidents.isCorrected(incident, record)) return undefined;
    if (record.position !== undefined && record.position < incident.position) return undefined;
    const { stored, alertId } = this.#store({ ...record, alert: { ...alert, late: isTold } });
    this.#incidents.apply(incident, stored, alertId, nowUs);
    if (!isTold) this.#queue.enqueue(deviceId, incidentId, state, nowUs);
    return stored;
  }

  #isUntold(incident: IncidentRow | undefined, { deviceId, alert }: AlertRecord, nowUs: number): boolean {
    const { incidentId, state, transitionAtUs } = alert;
    const toldAtUs = this.#told.get(deviceId, incidentId, state);
    if (incident === undefined || incident.resolvedBy === '') return toldAtUs === undefined;
    // What somebody has ended by hand is not told to begin, and its own end only that it came.
    const isHandsOwn = toldAtUs === undefined || toldAtUs === incident.resolvedAtUs;
    if (state === AlertState.RESOLVED && isHandsOwn && transitionAtUs !== toldAtUs) {
      const text = 'by its readings too, after it was resolved by hand';
      this.#events.addOnce(deviceId, incidentId, { kind: IncidentEventKind.RESOLVED, atUs: nowUs, by: '', text });
    }
    return false;
  }

  #isNews(incident: IncidentRow | undefined, record: AlertRecord): boolean {
    const { deviceId, alert, position = 0 } = record;
    const { incidentId, state, startedAtUs, transitionAtUs, retracted } = alert;
    const key = [deviceId, incidentId, state, startedAtUs, transitionAtUs, retracted ? 1 : 0] as const;
    const knownPosition = this.#late.get(...key);
    if (typeof knownPosition !== 'number') return true;
    if (incident === undefined || position <= knownPosition) return false;
    if (!this.#incidents.shows(incident, record)) return true;
    this.#saidAgain.run(position, ...key);
    return false;
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
    const late = notified === 0 || this.#told.get(deviceId, incidentId, state) !== undefined;
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
