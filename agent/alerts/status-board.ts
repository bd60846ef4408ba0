import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { StoredStatus } from '../buffer/alert-table.js';
import { FIRING } from './alert-state.js';

const ID_BYTES = 16;

/** A device with more incidents at a time has one; 16 KiB are written with each change then. */
const INCIDENTS_MAX = 1_024;

/** Values of a status. */
export interface StatusValues {
  name: string;
  firing: string;
  resolved: string;
}

/** A status as it is shown. */
export interface ShownStatus {
  name: string;
  value: string;
  /** Incidents that go on. */
  incidents: number;
  /** Event time of the transition that set it; absent before the first. */
  since?: string;
}

/** The statuses that alerts set: each has one value while an incident that it is about goes on, and another otherwise. */
export class StatusBoard {
  readonly #values: readonly StatusValues[];
  readonly #statuses = new Map<string, StoredStatus>();

  constructor(values: readonly StatusValues[]) {
    this.#values = values;
  }

  /** Goes on with what an earlier start had. Values are those of the configuration of now. */
  restore(statuses: readonly StoredStatus[]): void {
    for (const status of statuses) this.#statuses.set(status.name, status);
  }

  /** Whether a status shows an incident. */
  shows(name: string, incidentId: Uint8Array): boolean {
    const id = Buffer.from(incidentId).toString('hex');
    return idsOf(this.#statuses.get(name)?.incidents ?? new Uint8Array(0)).includes(id);
  }

  /** What follows from a transition, to be stored; undefined when there are too many incidents to count one more. */
  apply({ name, firing, resolved }: StatusValues, alert: Alert): StoredStatus | undefined {
    if (alert.incidentId.length !== ID_BYTES) return undefined;
    const before = idsOf(this.#statuses.get(name)?.incidents ?? new Uint8Array(0));
    const own = Buffer.from(alert.incidentId).toString('hex');
    const others = before.filter((id) => id !== own);
    const now = alert.state === FIRING ? [...others, own] : others;
    if (now.length > INCIDENTS_MAX) return undefined;
    const status = {
      name,
      value: now.length > 0 ? firing : resolved,
      sinceUs: alert.transitionAtUs,
      incidents: Uint8Array.from(Buffer.from(now.join(''), 'hex')),
    };
    this.#statuses.set(name, status);
    return status;
  }

  /** All that are configured. */
  get shown(): ShownStatus[] {
    return this.#values.map(({ name, firing, resolved }) => {
      const status = this.#statuses.get(name);
      if (status === undefined) return { name, value: resolved, incidents: 0 };
      const incidents = status.incidents.length / ID_BYTES;
      const since = new Date(status.sinceUs / 1000);
      return {
        name,
        value: incidents > 0 ? firing : resolved,
        incidents,
        ...(Number.isNaN(since.getTime()) ? {} : { since: since.toISOString() }),
      };
    });
  }
}

function idsOf(incidents: Uint8Array): string[] {
  const hex = Buffer.from(incidents).toString('hex');
  return hex.match(/.{32}/g) ?? [];
}
