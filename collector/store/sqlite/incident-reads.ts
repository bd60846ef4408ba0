import { glob } from '@tributary/core/rules/glob';
import type { IncidentEvent } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { IncidentFilter, StoredIncident } from '../incidents.js';
import type { IncidentEvents } from './incident-events.js';
import { INCIDENT_SELECT, type IncidentWithAlertRow, toStoredIncident } from './incident-table.js';

/** Incidents that one call looks at, whatever it finds: some 50 ms of the reading thread. */
const SCAN_MAX = 10_000;
/** Of an id, in bytes. */
const ID_BYTES = 16;

/** Incidents as they are read: by whoever asks, and by the rules. */
export class IncidentReads {
  readonly #db: Database.Database;
  readonly #events: IncidentEvents;
  readonly #byId;
  readonly #unsettled;
  readonly #unsettledOf;
  /** A statement for each combination of filters, so that each finds its index. */
  readonly #statements = new Map<string, Database.Statement<unknown[], IncidentWithAlertRow>>();

  constructor(db: Database.Database, events: IncidentEvents) {
    this.#db = db;
    this.#events = events;
    const unsettled = `SELECT device_id AS deviceId, min(started_at_us) AS startedAtUs
      FROM incidents JOIN devices USING (device_id) WHERE incidents.position >= derived_mark * ?`;
    this.#unsettled = db.prepare<[number], { deviceId: number; startedAtUs: number }>(
      `${unsettled} GROUP BY device_id`,
    );
    this.#unsettledOf = db.prepare<[number, number], { deviceId: number; startedAtUs: number }>(
      `${unsettled} AND device_id = ? GROUP BY device_id`,
    );
    this.#byId = db.prepare<[Uint8Array], IncidentWithAlertRow>(`${INCIDENT_SELECT} WHERE i.incident_id = ?`);
  }

  /** See {@link Store.unsettledIncidents}. */
  unsettled(versions: number, deviceId?: number): { deviceId: number; startedAtUs: number }[] {
    return deviceId === undefined ? this.#unsettled.all(versions) : this.#unsettledOf.all(versions, deviceId);
  }

  /** See {@link IncidentStore.findIncident}. */
  find(incidentId: Uint8Array): StoredIncident | undefined {
    const row = this.#byId.get(incidentId);
    return row === undefined ? undefined : toStoredIncident(row);
  }

  /** See {@link IncidentStore.incidentEvents}. */
  events(incidentId: Uint8Array): IncidentEvent[] {
    const row = this.#byId.get(incidentId);
    return row === undefined ? [] : this.#events.read(row.deviceId, row.incidentId);
  }

  /** See {@link IncidentStore.readIncidents}. */
  list(filter: IncidentFilter, after: string, limit: number): { incidents: StoredIncident[]; next: string } {
    const { rule, range, idPrefix } = filter;
    const matches = glob(rule ?? '*');
    const ids = idPrefix === undefined ? undefined : idRange(idPrefix);
    const rows = this.#statement(filter).iterate({
      before: after === '' ? Number.MAX_SAFE_INTEGER : Number(after),
      limit: SCAN_MAX + 1,
      ...(filter.deviceId === undefined ? {} : { deviceId: filter.deviceId }),
      ...(filter.seriesId === undefined ? {} : { seriesId: filter.seriesId }),
      ...(ids === undefined ? {} : ids),
    });
    const incidents: StoredIncident[] = [];
    let last = 0;
    let scanned = 0;
    for (const row of rows) {
      if (incidents.length === limit || scanned === SCAN_MAX) return { incidents, next: String(last) };
      scanned += 1;
      last = row.incidentRow;
      if (matches(row.rule) && touches(row, range)) incidents.push(toStoredIncident(row));
    }
    return { incidents, next: '' };
  }

  /** What has no index is looked at row by row by the caller, who counts them. */
  #statement({ deviceId, seriesId, idPrefix, openOnly, withRetracted }: IncidentFilter) {
    const conditions = ['i.incident_row < :before'];
    if (deviceId !== undefined) conditions.push('i.device_id = :deviceId');
    if (seriesId !== undefined) conditions.push('i.series_id = :seriesId');
    if (idPrefix !== undefined) conditions.push('i.incident_id BETWEEN :lowest AND :highest');
    if (openOnly) conditions.push('i.resolved_at_us IS NULL');
    if (!withRetracted) conditions.push('i.retracted = 0');
    // SQLite would walk the table in its order rather than sort the few rows that an index has.
    const index = idPrefix !== undefined ? 'incidents_by_id' : openOnly ? 'incidents_open' : undefined;
    const where = conditions.join(' AND ');
    let statement = this.#statements.get(where);
    if (statement === undefined) {
      const select =
        index === undefined
          ? INCIDENT_SELECT
          : INCIDENT_SELECT.replace('incidents AS i', `incidents AS i INDEXED BY ${index}`);
      statement = this.#db.prepare(`${select} WHERE ${where} ORDER BY i.incident_row DESC LIMIT :limit`);
      this.#statements.set(where, statement);
    }
    return statement;
  }
}

function touches(incident: IncidentWithAlertRow, range: IncidentFilter['range']): boolean {
  if (range === undefined) return true;
  return incident.startedAtUs < range.untilUs && (incident.resolvedAtUs ?? Number.POSITIVE_INFINITY) >= range.fromUs;
}

/** The lowest and the highest id that begin so. */
function idRange(prefix: string): { lowest: Buffer; highest: Buffer } {
  const digits = 2 * ID_BYTES;
  const id = (filler: string) => Buffer.from(prefix.slice(0, digits).padEnd(digits, filler), 'hex');
  return { lowest: id('0'), highest: id('f') };
}
