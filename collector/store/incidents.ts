import type { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { IncidentEvent, IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';

/**
 * Entries of one incident's history at the most, half a megabyte at 500 B: what people and corrections add in the life of
 * an incident are dozens, so more is a machine that writes in a loop. The begin, the end and what people do by hand have
 * the rest of the room, see {@link EVENTS_RESERVED}.
 */
export const EVENTS_PER_INCIDENT_MAX = 1000;
/** Of those, kept for transitions, acknowledgement and resolution, so that comments cannot crowd them out. */
export const EVENTS_RESERVED = 100;
/** Silences that are not over, at the most: each transition is compared with all of them, 1 µs each. */
export const SILENCES_MAX = 1000;
/**
 * Transitions that wait for one receiver at the most. Two make an incident, 150 B each: 15 MB. A receiver that is so far
 * behind has been away in the worst storm for hours; then the oldest incidents that are over are given up first.
 */
export const NOTIFICATIONS_PER_RECEIVER_MAX = 100_000;

/** An incident as it is known now. */
export interface StoredIncident {
  deviceId: number;
  seriesId: number;
  tenant: string;
  /** 16 bytes. */
  incidentId: Uint8Array;
  /** Its newest transition, with the earliest beginning that is known. */
  alert: Alert;
  startedAtUs: number;
  firedAtUs: number;
  /** Undefined while it fires. */
  resolvedAtUs: number | undefined;
  /** A transition of it is not late: whoever is to be told was told, or will be. */
  notified: boolean;
  retracted: boolean;
  /** SPIFFE id, empty for nobody; and when, by the collector's clock. */
  acknowledgedBy: string;
  acknowledgedAtUs: number;
  /** SPIFFE id of who ended it by hand; empty when the readings did, or while it fires. */
  resolvedBy: string;
  /** Entries of its history, those that found no room included. */
  events: number;
}

/** Which incidents are meant; what is absent means all. */
export interface IncidentFilter {
  deviceId?: number;
  seriesId?: number;
  /** A glob. */
  rule?: string;
  /** The first hexadecimal digits of the id. */
  idPrefix?: string;
  /** Incidents that touch it; half open. */
  range?: { fromUs: number; untilUs: number };
  openOnly: boolean;
  withRetracted: boolean;
}

/** What is written into an incident's history from outside; the store itself writes what transitions do. */
export type IncidentNote = IncidentEvent & {
  kind:
    | IncidentEventKind.ACKNOWLEDGED
    | IncidentEventKind.COMMENTED
    | IncidentEventKind.NOTIFIED
    | IncidentEventKind.SILENCED
    | IncidentEventKind.INHIBITED;
};

export type NoteOutcome =
  | 'noted'
  /** It is there already: an acknowledgement, or the same words of the collector. Nothing has changed. */
  | 'known'
  /** There is no such incident. */
  | 'unknown'
  /** An acknowledgement of what is over. */
  | 'over'
  /** The history has all the entries that it may have. */
  | 'full';

export type ResolveOutcome = { outcome: 'resolved'; deviceId: number; alert: Alert } | { outcome: 'unknown' | 'over' };

/** What waits for a receiver: one transition of one incident. With the receiver the idempotency key. */
export interface NotificationKey {
  receiver: string;
  deviceId: number;
  incidentId: Uint8Array;
  state: AlertState.FIRING | AlertState.RESOLVED;
  /** Which claim of it this is: what another one has claimed since cannot be settled any more. */
  claim: number;
}

/** A transition that one collector process is to tell one receiver of, until its lease ends. */
export interface ClaimedNotification extends NotificationKey {
  /** How often it failed. */
  attempts: number;
  /** The receiver has taken it before: this is a repetition that was asked for. */
  told: boolean;
  /** Of an end: the receiver took the beginning. When it did not, it need not hear of the end. */
  firingTold: boolean;
  /** When it was put here, by the collector's clock. */
  queuedUs: number;
  /** The transition as the device is sent it. */
  alert: Alert;
  /** The incident as it is now, perhaps over, retracted or acknowledged meanwhile. */
  incident: StoredIncident;
}

/** What became of a claimed transition; `note` enters the incident's history, the same words once. */
export type Settlement = { note?: IncidentNote } & (
  | {
      /** The receiver took it. `againUs` has it claimed once more at that time; an end is otherwise done with. */
      outcome: 'told';
      againUs?: number;
    }
  /** Nobody is to be told of it. */
  | { outcome: 'skipped' }
  | {
      /** Not now. `failed` counts an attempt; what is held back is claimed earlier by {@link Store.releaseNotifications}. */
      outcome: 'failed' | 'held';
      atUs: number;
    }
);

export interface ReceiverState {
  receiver: string;
  /** Transitions in the store for it; those of incidents that go on stay until these are over. */
  length: number;
  /** When the oldest that is still to be told was put there; undefined for none. */
  oldestUs: number | undefined;
  /** Given up because there were too many, since it is known. */
  dropped: number;
}
