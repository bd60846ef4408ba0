import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type Database from 'better-sqlite3';
import type { IncidentNote, NoteOutcome } from '../incidents.js';
import type { IncidentEvents } from './incident-events.js';

interface Noted {
  deviceId: number;
  resolvedAtUs: number | null;
  acknowledgedBy: string;
}

/** Writes into incidents' histories what people and receivers do. */
export class IncidentNotes {
  readonly #note;

  constructor(db: Database.Database, events: IncidentEvents) {
    const find = db.prepare<[Uint8Array], Noted>(
      `SELECT device_id AS deviceId, resolved_at_us AS resolvedAtUs, acknowledged_by AS acknowledgedBy
       FROM incidents WHERE incident_id = ?`,
    );
    const acknowledge = db.prepare(
      'UPDATE incidents SET acknowledged_by = ?, acknowledged_at_us = ? WHERE device_id = ? AND incident_id = ?',
    );
    this.#note = db.transaction((incidentId: Uint8Array, note: IncidentNote): NoteOutcome => {
      const incident = find.get(incidentId);
      if (incident === undefined) return 'unknown';
      const { deviceId } = incident;
      if (note.kind === IncidentEventKind.COMMENTED) {
        return events.addOrRefuse(deviceId, incidentId, note) ? 'noted' : 'full';
      }
      if (note.kind !== IncidentEventKind.ACKNOWLEDGED) {
        return events.addOnce(deviceId, incidentId, note) ? 'noted' : 'known';
      }
      if (incident.acknowledgedBy !== '') return 'known';
      if (incident.resolvedAtUs !== null) return 'over';
      acknowledge.run(note.by, note.atUs, deviceId, incidentId);
      events.add(deviceId, incidentId, note);
      return 'noted';
    }).immediate;
  }

  /** See {@link Store.noteIncident}. */
  note(incidentId: Uint8Array, note: IncidentNote): NoteOutcome {
    return this.#note(incidentId, note);
  }
}
