import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import type { StoredIncident } from '../incidents.js';
import type { AlertRecord } from '../store.js';
import type { IncidentEvents } from './incident-events.js';
import { eventOf, type IncidentStory, isShown, storyAfter } from './incident-story.js';

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
  readonly #newest;
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
    this.#newest = db
      .prepare<[number, Uint8Array], number>('SELECT max(alert_id) FROM alerts WHERE device_id = ? AND incident_id = ?')
      .pluck();
    this.#update = db.prepare(
      `UPDATE incidents SET series_id = :seriesId, started_at_us = :startedAtUs, fired_at_us = :firedAtUs, resolved_at_us = :resolvedAtUs,
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
    else this.#put(incident, storyAfter(incident, record), record);
    const event = { ...eventOf(incident, record), atUs: nowUs, by: '' };
    // An end by readings is told once, whether as it came or when history was judged.
    if (incident !== undefined && incident.resolvedBy !== '') this.#events.addOnce(deviceId, alert.incidentId, event);
    else this.#events.add(deviceId, alert.incidentId, event);
  }

  /** Takes in, without an event, what was stored before, or shows nothing new. */
  takeIn(incident: IncidentRow, record: AlertRecord): void {
    const { notified } = incident;
    const story = isShown(incident, record) ? incident : { ...storyAfter(incident, record), notified };
    this.#put(incident, story, record);
  }

  /** Ends it by hand, once the transition is stored that tells so. */
  resolveByHand(incident: IncidentRow, atUs: number, by: string): void {
    this.#put(incident, { ...incident, resolvedAtUs: atUs, resolvedBy: by });
  }

  #put(incident: IncidentRow, story: IncidentStory, record?: AlertRecord): void {
    const { incidentRow, deviceId, incidentId } = incident;
    const { startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, resolvedBy, position } = story;
    const changed = { startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, resolvedBy, position };
    // An incident that takes over the id of another may be about another series.
    const seriesId = record?.exact === undefined ? incident.seriesId : record.seriesId;
    const alertId = this.#newest.get(deviceId, incidentId);
    this.#update.run({ ...changed, seriesId, incidentRow, alertId });
  }

  #begin({ deviceId, seriesId, alert, exact, position = 0 }: AlertRecord, alertId: number): void {
    const { incidentId, rule, severity, startedAtUs, transitionAtUs, late } = alert;
    const fires = alert.state === AlertState.FIRING;
    // Of a lone end nobody knows when it began to fire.
    const said = { firedAtUs: fires ? transitionAtUs : startedAtUs, resolvedAtUs: fires ? undefined : transitionAtUs };
    const { firedAtUs, resolvedAtUs } = exact ?? said;
    this.#insert.run({
      deviceId,
      incidentId,
      seriesId,
      rule,
      severity,
      startedAtUs,
      firedAtUs,
      resolvedAtUs: resolvedAtUs ?? null,
      notified: late ? 0 : 1,
      retracted: !fires && alert.retracted ? 1 : 0,
      position,
      alertId,
    });
  }
}

/**
 * The alert is that of its newest transition, as it would be told now. An answer that travels to another thread owns its
 * bytes; decoding a Buffer gives slices of its memory.
 */
export function toStoredIncident(row: IncidentWithAlertRow): StoredIncident {
  const { deviceId, seriesId, tenant, startedAtUs, firedAtUs, resolvedAtUs, acknowledgedBy, acknowledgedAtUs } = row;
  const incidentId = Uint8Array.from(row.incidentId);
  const retracted = row.retracted === 1;
  const state = resolvedAtUs === null ? AlertState.FIRING : AlertState.RESOLVED;
  const transitionAtUs = resolvedAtUs ?? firedAtUs;
  return {
    deviceId,
    seriesId,
    tenant,
    incidentId,
    alert: { ...Alert.decode(row.message), incidentId, state, startedAtUs, transitionAtUs, retracted },
    startedAtUs,
    firedAtUs,
    resolvedAtUs: resolvedAtUs ?? undefined,
    notified: row.notified === 1,
    retracted,
    acknowledgedBy,
    acknowledgedAtUs,
    resolvedBy: row.resolvedBy,
    events: row.events,
  };
}
