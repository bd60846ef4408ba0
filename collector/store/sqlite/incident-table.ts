import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import type { StoredIncident } from '../incidents.js';
import type { AlertRecord } from '../store.js';
import type { IncidentEvents } from './incident-events.js';
import { eventOf, type IncidentStory, storyAfter } from './incident-story.js';

/** An incident as its row says. */
export interface IncidentRow extends IncidentStory {
  incidentRow: number;
  deviceId: number;
  incidentId: Buffer;
  seriesId: number;
  rule: string;
  acknowledgedBy: string;
  acknowledgedAtUs: number;
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

  /** Takes in a transition that was stored under `alertId`. `incident` is what was there before. */
  apply(incident: IncidentRow | undefined, record: AlertRecord, alertId: number, nowUs: number): void {
    const { deviceId, alert } = record;
    if (incident === undefined) this.#begin(record, alertId);
    else this.#put(incident, storyAfter(incident, record), alertId);
    this.#events.add(deviceId, alert.incidentId, { ...eventOf(incident, record), atUs: nowUs, by: '' });
  }

  /** Ends it by hand; `alertId` is the transition that tells so. */
  resolveByHand(incident: IncidentRow, alertId: number, atUs: number, by: string): void {
    this.#put(incident, { ...incident, resolvedAtUs: atUs, resolvedBy: by }, alertId);
  }

  #put(
    { incidentRow, resolvedBy }: IncidentRow,
    story: IncidentStory & { resolvedBy?: string },
    alertId: number,
  ): void {
    const { startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, position } = story;
    const changed = { startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, position };
    this.#update.run({ ...changed, resolvedBy: story.resolvedBy ?? resolvedBy, incidentRow, alertId });
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
