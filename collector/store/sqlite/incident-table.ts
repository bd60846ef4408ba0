import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { StoredIncident } from '../incidents.js';
import type { AlertRecord } from '../store.js';
import type { IncidentEvents } from './incident-events.js';

/** An incident as its row says. */
export interface IncidentRow {
  incidentRow: number;
  deviceId: number;
  incidentId: Buffer;
  seriesId: number;
  rule: string;
  startedAtUs: number;
  firedAtUs: number;
  resolvedAtUs: number | null;
  notified: number;
  retracted: number;
  acknowledgedBy: string;
  acknowledgedAtUs: number;
  resolvedBy: string;
  position: number;
  events: number;
}

/** Columns of an incident, of a table that is named `i`. */
export const INCIDENT_COLUMNS = `i.incident_row AS incidentRow, i.device_id AS deviceId, i.incident_id AS incidentId,
  i.series_id AS seriesId, i.rule, i.started_at_us AS startedAtUs, i.fired_at_us AS firedAtUs, i.resolved_at_us AS resolvedAtUs,
  i.notified, i.retracted, i.acknowledged_by AS acknowledgedBy, i.acknowledged_at_us AS acknowledgedAtUs,
  i.resolved_by AS resolvedBy, i.position, i.events`;

/** A row with its newest transition and its device's tenant. */
export interface IncidentWithAlertRow extends IncidentRow {
  message: Buffer;
  tenant: string;
}

export const INCIDENT_SELECT = `SELECT ${INCIDENT_COLUMNS}, a.message, d.tenant FROM incidents AS i
  JOIN alerts AS a ON a.alert_id = i.alert_id JOIN devices AS d ON d.device_id = i.device_id`;

/** What a transition does to its incident. To be used within a transaction. */
export class IncidentTable {
  readonly #events: IncidentEvents;
  readonly #find;
  readonly #insert;
  readonly #update;

  constructor(db: Database.Database, events: IncidentEvents) {
    this.#events = events;
    this.#find = db.prepare<[number, Uint8Array], IncidentRow>(
      `SELECT ${INCIDENT_COLUMNS} FROM incidents AS i WHERE device_id = ? AND incident_id = ?`,
    );
    this.#insert = db.prepare(
      `INSERT INTO incidents (device_id, incident_id, series_id, rule, severity, started_at_us, fired_at_us,
         resolved_at_us, notified, retracted, position, alert_id)
       VALUES (:deviceId, :incidentId, :seriesId, :rule, :severity, :startedAtUs, :firedAtUs, :resolvedAtUs, :notified,
         :retracted, :position, :alertId)`,
    );
    this.#update = db.prepare(
      `UPDATE incidents SET started_at_us = :startedAtUs, fired_at_us = :firedAtUs, resolved_at_us = :resolvedAtUs,
         notified = :notified, retracted = :retracted, resolved_by = :resolvedBy, position = :position,
         alert_id = :alertId
       WHERE incident_row = :incidentRow`,
    );
  }

  find(deviceId: number, incidentId: Uint8Array): IncidentRow | undefined {
    return this.#find.get(deviceId, incidentId);
  }

  /** Whether a late transition tells nothing that the incident does not show already. */
  shows(incident: IncidentRow, record: AlertRecord): boolean {
    const { alert } = record;
    if (alert.startedAtUs < incident.startedAtUs) return false;
    if (lagsBehind(incident, record)) return true;
    if (alert.state === AlertState.FIRING) return incident.retracted === 0;
    return incident.resolvedAtUs === alert.transitionAtUs && incident.retracted === (alert.retracted ? 1 : 0);
  }

  /** Whether the incident shows exactly what a correction knows, or something that follows from a later commit. */
  isCorrected(incident: IncidentRow, { alert, position = 0, exact }: AlertRecord): boolean {
    if (position < incident.position) return true;
    return (
      alert.startedAtUs === incident.startedAtUs &&
      exact?.firedAtUs === incident.firedAtUs &&
      (incident.resolvedBy !== '' || (exact.resolvedAtUs ?? null) === incident.resolvedAtUs) &&
      incident.retracted === (alert.retracted ? 1 : 0)
    );
  }

  /** Takes in a transition that was stored under `alertId`. `incident` is what was there before. */
  apply(incident: IncidentRow | undefined, record: AlertRecord, alertId: number, nowUs: number): void {
    const { deviceId, alert } = record;
    const { incidentId } = alert;
    if (incident === undefined) this.#begin(record, alertId);
    else this.#change(incident, record, alertId);
    this.#events.add(deviceId, incidentId, { ...eventOf(incident, record), atUs: nowUs, by: '' });
  }

  /** Ends it by hand; `alertId` is the transition that tells so. */
  resolveByHand(incident: IncidentRow, alertId: number, atUs: number, by: string): void {
    this.#update.run({ ...changeable(incident), resolvedAtUs: atUs, resolvedBy: by, alertId });
  }

  #begin({ deviceId, seriesId, alert, position = 0 }: AlertRecord, alertId: number): void {
    const { incidentId, rule, severity, startedAtUs, transitionAtUs, late } = alert;
    const fires = alert.state === AlertState.FIRING;
    this.#insert.run({
      deviceId,
      incidentId,
      seriesId,
      rule,
      severity,
      startedAtUs,
      // Of a lone end nobody knows when it began to fire.
      firedAtUs: fires ? transitionAtUs : startedAtUs,
      resolvedAtUs: fires ? null : transitionAtUs,
      notified: late ? 0 : 1,
      retracted: !fires && alert.retracted ? 1 : 0,
      position,
      alertId,
    });
  }

  #change(incident: IncidentRow, record: AlertRecord, alertId: number): void {
    const { alert, position = incident.position, exact } = record;
    const { state, startedAtUs, transitionAtUs, late, retracted } = alert;
    const changed = { ...changeable(incident), alertId };
    if (exact !== undefined) {
      changed.startedAtUs = startedAtUs;
      changed.firedAtUs = exact.firedAtUs;
      if (incident.resolvedBy === '') changed.resolvedAtUs = exact.resolvedAtUs ?? null;
      changed.retracted = retracted ? 1 : 0;
      changed.position = position;
      if (!late) changed.notified = 1;
      this.#update.run(changed);
      return;
    }
    changed.startedAtUs = Math.min(incident.startedAtUs, startedAtUs);
    if (!late) changed.notified = 1;
    if (state === AlertState.FIRING) changed.firedAtUs = Math.min(incident.firedAtUs, transitionAtUs);
    if (!lagsBehind(incident, record)) {
      changed.position = record.position ?? incident.position;
      if (state === AlertState.FIRING) {
        // What ended it is not known any more: it fires now, or late readings show that it was one after all.
        if (incident.resolvedBy === '' && (!late || incident.retracted === 1)) changed.resolvedAtUs = null;
        changed.retracted = 0;
      } else {
        if (incident.resolvedBy === '') changed.resolvedAtUs = transitionAtUs;
        changed.retracted = retracted ? 1 : 0;
      }
    }
    this.#update.run(changed);
  }
}

function changeable(incident: IncidentRow) {
  const { incidentRow, startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, resolvedBy, position } = incident;
  return { incidentRow, startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, resolvedBy, position };
}

/** What a transition is in the history of its incident. */
function eventOf(incident: IncidentRow | undefined, record: AlertRecord): { kind: IncidentEventKind; text: string } {
  const { state, late, retracted } = record.alert;
  const isFiring = state === AlertState.FIRING;
  const plain = isFiring
    ? IncidentEventKind.FIRED
    : retracted
      ? IncidentEventKind.RETRACTED
      : IncidentEventKind.RESOLVED;
  if (incident === undefined || !late) return { kind: plain, text: late ? 'late' : '' };
  const isLagging = lagsBehind(incident, record);
  const isNews = isFiring ? false : retracted ? incident.retracted === 0 : incident.resolvedAtUs === null;
  if (isNews && !isLagging) return { kind: plain, text: 'late' };
  return { kind: IncidentEventKind.CORRECTED, text: corrections(incident, record.alert, isLagging).join(', ') };
}

/** What a late transition changes, in words. */
function corrections(incident: IncidentRow, alert: Alert, isLagging: boolean): string[] {
  const { state, startedAtUs, transitionAtUs, retracted } = alert;
  const words: string[] = [];
  if (incident.retracted === 1 && !retracted && !isLagging) words.push('it is an incident after all');
  if (startedAtUs < incident.startedAtUs) {
    words.push(`it began at ${instant(startedAtUs)}, not at ${instant(incident.startedAtUs)}`);
  }
  if (state === AlertState.FIRING || isLagging || transitionAtUs === incident.resolvedAtUs) return words;
  const otherwise = incident.resolvedBy === '' ? `, not at ${instant(incident.resolvedAtUs ?? 0)}` : ' by its readings';
  words.push(`it ended at ${instant(transitionAtUs)}${otherwise}`);
  return words;
}

/** Whoever lags behind may still know an earlier beginning, but not how it ended. */
function lagsBehind(incident: IncidentRow, { position = incident.position }: AlertRecord): boolean {
  return position < incident.position;
}

function instant(us: number): string {
  // A date says less than a time may be; what is beyond it is told in seconds.
  return Math.abs(us) <= 8.64e18 ? new Date(us / 1000).toISOString() : `${us / 1e6} s`;
}

/** An answer that travels to another thread owns its bytes; decoding a Buffer gives slices of its memory. */
export function toStoredIncident(row: IncidentWithAlertRow): StoredIncident {
  const { deviceId, seriesId, tenant, startedAtUs, firedAtUs, resolvedAtUs, acknowledgedBy, acknowledgedAtUs } = row;
  const incidentId = Uint8Array.from(row.incidentId);
  return {
    deviceId,
    seriesId,
    tenant,
    incidentId,
    alert: { ...Alert.decode(row.message), incidentId, startedAtUs },
    startedAtUs,
    firedAtUs,
    resolvedAtUs: resolvedAtUs ?? undefined,
    notified: row.notified === 1,
    retracted: row.retracted === 1,
    acknowledgedBy,
    acknowledgedAtUs,
    resolvedBy: row.resolvedBy,
    events: row.events,
  };
}
