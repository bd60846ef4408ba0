import { Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { ResolveOutcome } from '../incidents.js';
import type { AlertRecord } from '../store.js';
import type { IncidentEvents } from './incident-events.js';
import { isShown, lagsBehind } from './incident-story.js';
import {
  INCIDENT_SELECT,
  type IncidentRow,
  type IncidentTable,
  type IncidentWithAlertRow,
  toStoredIncident,
} from './incident-table.js';
import type { NotificationQueue } from './notification-queue.js';

/** A transition that is not late. */
interface ToldRow {
  transitionAtUs: number;
  position: number;
}

/** Device, incident, state, beginning, time and `retracted` of a late one. */
type LateKey = [number, Uint8Array, AlertState, number, number, number];

function lateKey({ deviceId, alert }: AlertRecord): LateKey {
  const { incidentId, state, startedAtUs, transitionAtUs, retracted } = alert;
  return [deviceId, incidentId, state, startedAtUs, transitionAtUs, retracted ? 1 : 0];
}

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
  readonly #toldAgain;
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
    this.#told = db.prepare<[number, Uint8Array, AlertState], ToldRow>(
      `SELECT transition_at_us AS transitionAtUs, position FROM alerts
       WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 0`,
    );
    this.#late = db
      .prepare<LateKey, number | null>(
        `SELECT max(position) FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 1
           AND started_at_us = ? AND transition_at_us = ? AND retracted = ?`,
      )
      .pluck();
    this.#saidAgain = db.prepare(
      `UPDATE alerts SET position = max(position, ?) WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 1
         AND started_at_us = ? AND transition_at_us = ? AND retracted = ?`,
    );
    this.#toldAgain = db.prepare(
      `UPDATE alerts SET position = max(position, ?) WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 0`,
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

  #appendOne(given: AlertRecord, nowUs: number): AlertRecord | undefined {
    const record = this.#asTold(given);
    const { deviceId, alert } = record;
    const { incidentId, state, late } = alert;
    const incident = this.#incidents.find(deviceId, incidentId);
    if (record.exact !== undefined && incident !== undefined) return this.#correct(incident, record, nowUs);
    if (late ? !this.#isNews(incident, record) : !this.#isUntold(incident, record, nowUs)) return undefined;
    const isEvent = !late || incident === undefined || !this.#isHeard(incident, record);
    const { stored, alertId } = this.#store(record);
    // What an incident shows already is kept all the same, so that it is known when it comes again.
    if (isEvent) this.#incidents.apply(incident, stored, alertId, nowUs);
    if (!late) this.#queue.enqueue(deviceId, incidentId, state, nowUs);
    return stored;
  }

  /** Who has judged history anew says how it is: what was told already is not told again, but corrected all the same. */
  #correct(incident: IncidentRow, record: AlertRecord, nowUs: number): AlertRecord | undefined {
    const { deviceId, alert } = record;
    const { incidentId, state } = alert;
    const told = this.#told.get(deviceId, incidentId, state);
    const late = alert.late || told !== undefined || incident.resolvedBy !== '';
    const corrected = { ...record, alert: { ...alert, late } };
    if (lagsBehind(incident, record) || this.#wasSaid(corrected, told)) return undefined;
    const isHeard = late && this.#isHeard(incident, corrected);
    if (isHeard && this.#saySame(corrected, told)) return undefined;
    const { stored, alertId } = this.#store(corrected);
    if (!isHeard) this.#incidents.apply(incident, stored, alertId, nowUs);
    if (!late) this.#queue.enqueue(deviceId, incidentId, state, nowUs);
    return stored;
  }

  /** Notes that what is known follows from a later commit too; false when it is not known in these words. */
  #saySame(record: AlertRecord, told: ToldRow | undefined): boolean {
    const { deviceId, alert, position = 0 } = record;
    if (told?.transitionAtUs === alert.transitionAtUs) {
      this.#toldAgain.run(position, deviceId, alert.incidentId, alert.state);
      return true;
    }
    return this.#saidAgain.run(position, ...lateKey(record)).changes > 0;
  }

  /** Whether a late transition tells nothing new. The readings' own end of what was ended by hand is told once. */
  #isHeard(incident: IncidentRow, record: AlertRecord): boolean {
    if (!isShown(incident, record)) return false;
    const isOwnEnd = incident.resolvedBy !== '' && record.alert.state === AlertState.RESOLVED;
    return !isOwnEnd || lagsBehind(incident, record) || typeof this.#late.get(...lateKey(record)) === 'number';
  }

  /** Whether these very words followed from this commit, or a later one, before. */
  #wasSaid(record: AlertRecord, told: ToldRow | undefined): boolean {
    const { alert, position } = record;
    if (position === undefined) return false;
    if (told?.transitionAtUs === alert.transitionAtUs && told.position >= position) return true;
    return (this.#late.get(...lateKey(record)) ?? -1) >= position;
  }

  /** The end of what a device evaluates is told to whoever was told of the beginning, and only this transaction knows. */
  #asTold(record: AlertRecord): AlertRecord {
    const { deviceId, alert } = record;
    if (alert.authority !== RuleAuthority.DEVICE || alert.state !== AlertState.RESOLVED) return record;
    const late = this.#told.get(deviceId, alert.incidentId, AlertState.FIRING) === undefined;
    return { ...record, alert: { ...alert, late } };
  }

  #isUntold(incident: IncidentRow | undefined, { deviceId, alert }: AlertRecord, nowUs: number): boolean {
    const { incidentId, state, transitionAtUs } = alert;
    const toldAtUs = this.#told.get(deviceId, incidentId, state)?.transitionAtUs;
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
    const { position = 0 } = record;
    const knownPosition = this.#late.get(...lateKey(record));
    if (typeof knownPosition !== 'number') return true;
    if (incident === undefined || position <= knownPosition) return false;
    if (!this.#isHeard(incident, record)) return true;
    this.#saidAgain.run(position, ...lateKey(record));
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
