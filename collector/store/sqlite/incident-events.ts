import { type IncidentEvent, IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import { EVENTS_PER_INCIDENT_MAX, EVENTS_RESERVED } from '../incidents.js';

/** What comes a bounded number of times, and must not be missed for comments. */
const PRIVILEGED: ReadonlySet<IncidentEventKind> = new Set([
  IncidentEventKind.FIRED,
  IncidentEventKind.RESOLVED,
  IncidentEventKind.RETRACTED,
  IncidentEventKind.ACKNOWLEDGED,
  IncidentEventKind.RESOLVED_BY_HAND,
]);

/** Incidents' histories. Each entry has the next number of its incident; `incidents.events` counts them. */
export class IncidentEvents {
  readonly #count;
  readonly #insert;
  readonly #isThere;
  readonly #read;
  readonly #remove;

  constructor(db: Database.Database) {
    // Counted even where there is no room, so that who reads the history sees that something is missing.
    this.#count = db
      .prepare<[number, Uint8Array], number>(
        'UPDATE incidents SET events = events + 1 WHERE device_id = ? AND incident_id = ? RETURNING events',
      )
      .pluck();
    this.#insert = db.prepare(
      `INSERT INTO incident_events SELECT :deviceId, :incidentId,
         1 + coalesce((SELECT max(event) FROM incident_events WHERE device_id = :deviceId AND incident_id = :incidentId), 0),
         :kind, :atUs, :by, :text
       WHERE (SELECT count(*) FROM incident_events WHERE device_id = :deviceId AND incident_id = :incidentId) < :room`,
    );
    this.#isThere = db
      .prepare<[number, Uint8Array, IncidentEventKind, string], number>(
        'SELECT 1 FROM incident_events WHERE device_id = ? AND incident_id = ? AND kind = ? AND text = ? LIMIT 1',
      )
      .pluck();
    this.#read = db.prepare<[number, Uint8Array], IncidentEvent>(
      `SELECT kind, at_us AS atUs, by, text FROM incident_events WHERE device_id = ? AND incident_id = ? ORDER BY event`,
    );
    this.#remove = db.prepare('DELETE FROM incident_events WHERE device_id = ? AND incident_id = ?');
  }

  /** Adds an entry; false when there is no room, which is counted all the same. */
  add(deviceId: number, incidentId: Uint8Array, event: IncidentEvent): boolean {
    if (this.#count.get(deviceId, incidentId) === undefined) return false;
    return this.#write(deviceId, incidentId, event);
  }

  /** Adds what a person says; false when there is no room, and then it is told so and nothing is counted. */
  addOrRefuse(deviceId: number, incidentId: Uint8Array, event: IncidentEvent): boolean {
    if (!this.#write(deviceId, incidentId, event)) return false;
    this.#count.get(deviceId, incidentId);
    return true;
  }

  /** Adds an entry unless one of the same kind and words is there; answers whether it was added. */
  addOnce(deviceId: number, incidentId: Uint8Array, event: IncidentEvent): boolean {
    if (this.#isThere.get(deviceId, incidentId, event.kind, event.text) !== undefined) return false;
    return this.add(deviceId, incidentId, event);
  }

  read(deviceId: number, incidentId: Uint8Array): IncidentEvent[] {
    return this.#read.all(deviceId, incidentId);
  }

  remove(deviceId: number, incidentId: Uint8Array): void {
    this.#remove.run(deviceId, incidentId);
  }

  #write(deviceId: number, incidentId: Uint8Array, { kind, atUs, by, text }: IncidentEvent): boolean {
    const room = EVENTS_PER_INCIDENT_MAX - (PRIVILEGED.has(kind) ? 0 : EVENTS_RESERVED);
    return this.#insert.run({ deviceId, incidentId, kind, atUs, by, text, room }).changes === 1;
  }
}
