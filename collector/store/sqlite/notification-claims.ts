import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import type { ClaimedNotification, NotificationKey, Settlement } from '../incidents.js';
import type { IncidentEvents } from './incident-events.js';
import { INCIDENT_SELECT, type IncidentWithAlertRow, toStoredIncident } from './incident-table.js';
import type { NotificationQueue } from './notification-queue.js';

const { FIRING, RESOLVED } = AlertState;

/** What `told` says of a row: nothing yet, the receiver took it, nobody was to be told. */
const WAITS = 0;
const TOLD = 1;
const SKIPPED = 2;

interface NotificationRow {
  deviceId: number;
  incidentId: Buffer;
  state: AlertState.FIRING | AlertState.RESOLVED;
  queuedUs: number;
  told: number;
  claims: number;
  attempts: number;
}

/** Hands transitions that are due to whoever tells receivers, under a lease, and takes back what became of them. */
export class NotificationClaims {
  readonly #queue: NotificationQueue;
  readonly #events: IncidentEvents;
  readonly #lease;
  readonly #firing;
  readonly #isClaimed;
  readonly #put;
  readonly #endIsDue;
  readonly #incident;
  readonly #alert;
  readonly #claim;
  readonly #settle;

  constructor(db: Database.Database, queue: NotificationQueue, events: IncidentEvents) {
    this.#queue = queue;
    this.#events = events;
    const key = 'device_id = :deviceId AND incident_id = :incidentId AND receiver = :receiver';
    const due = db.prepare<[string, number, number], NotificationRow>(
      `SELECT device_id AS deviceId, incident_id AS incidentId, state, queued_us AS queuedUs, told, claims, attempts
       FROM notifications WHERE receiver = ? AND due_us <= ? ORDER BY due_us, queued_us LIMIT ?`,
    );
    const nextDue = db
      .prepare<[string], number | null>(
        'SELECT min(due_us) FROM notifications WHERE receiver = ? AND due_us IS NOT NULL',
      )
      .pluck();
    this.#lease = db.prepare(
      `UPDATE notifications SET leased = 1, held = 0, claims = claims + 1, due_us = :untilUs
       WHERE ${key} AND state = :state`,
    );
    this.#firing = db
      .prepare<unknown[], number>(`SELECT told FROM notifications WHERE ${key} AND state = ${FIRING}`)
      .pluck();
    this.#isClaimed = db.prepare<unknown[], { told: number; attempts: number }>(
      `SELECT told, attempts FROM notifications WHERE ${key} AND state = :state AND claims = :claim AND leased = 1`,
    );
    this.#put = db.prepare(
      `UPDATE notifications SET leased = 0, held = :held, told = :told, attempts = :attempts, due_us = :dueUs
       WHERE ${key} AND state = :state`,
    );
    this.#endIsDue = db.prepare(
      `UPDATE notifications SET due_us = coalesce(due_us, :nowUs) WHERE ${key} AND state = ${RESOLVED}`,
    );
    this.#incident = db.prepare<[number, Uint8Array], IncidentWithAlertRow>(
      `${INCIDENT_SELECT} WHERE i.device_id = ? AND i.incident_id = ?`,
    );
    this.#alert = db
      .prepare<[number, Uint8Array, AlertState], Buffer>(
        'SELECT message FROM alerts WHERE device_id = ? AND incident_id = ? AND state = ? AND late = 0',
      )
      .pluck();
    this.#claim = db.transaction((receiver: string, nowUs: number, leaseUs: number, limit: number) => {
      const notifications = due.all(receiver, nowUs, limit).map((row) => this.#take(receiver, row, nowUs + leaseUs));
      return { notifications, nextDueUs: nextDue.get(receiver) ?? undefined };
    }).immediate;
    this.#settle = db.transaction(this.#settleOne.bind(this)).immediate;
  }

  /** See {@link Store.claimNotifications}. */
  claim(receiver: string, nowUs: number, leaseUs: number, limit: number) {
    return this.#claim(receiver, nowUs, leaseUs, limit);
  }

  /** See {@link Store.settleNotification}. */
  settle(key: NotificationKey, settlement: Settlement, nowUs: number): boolean {
    return this.#settle(key, settlement, nowUs);
  }

  #take(receiver: string, row: NotificationRow, untilUs: number): ClaimedNotification {
    const { deviceId, state, queuedUs, told, claims, attempts } = row;
    this.#lease.run({ receiver, deviceId, incidentId: row.incidentId, state, untilUs });
    const incidentRow = this.#incident.get(deviceId, row.incidentId);
    const message = this.#alert.get(deviceId, row.incidentId, state);
    if (incidentRow === undefined || message === undefined) {
      throw new Error(`a notification for ${receiver} is about an incident that is not there`);
    }
    const incident = toStoredIncident(incidentRow);
    const { incidentId } = incident;
    return {
      receiver,
      deviceId,
      incidentId,
      state,
      claim: claims + 1,
      attempts,
      told: told === TOLD,
      firingTold: (state === FIRING ? told : this.#firing.get({ receiver, deviceId, incidentId })) === TOLD,
      queuedUs,
      alert: { ...Alert.decode(message), incidentId },
      incident,
    };
  }

  #settleOne(claimed: NotificationKey, settlement: Settlement, nowUs: number): boolean {
    const { receiver, deviceId, incidentId, state, claim } = claimed;
    const key = { receiver, deviceId, incidentId, state };
    const row = this.#isClaimed.get({ ...key, claim });
    if (row === undefined) return false;
    if (settlement.note !== undefined) this.#events.addOnce(deviceId, incidentId, settlement.note);
    const { outcome } = settlement;
    const againUs = outcome === 'skipped' ? undefined : outcome === 'told' ? settlement.againUs : settlement.atUs;
    if (state === RESOLVED && againUs === undefined) {
      this.#queue.remove(deviceId, incidentId, receiver);
      return true;
    }
    const told = outcome === 'told' || row.told === TOLD ? TOLD : outcome === 'skipped' ? SKIPPED : row.told;
    const attempts = outcome === 'failed' ? row.attempts + 1 : outcome === 'told' ? 0 : row.attempts;
    // A beginning that was settled once is not repeated when there is an end to tell.
    const endIsDue = state === FIRING && told !== WAITS && this.#makeEndDue(key, nowUs);
    const dueUs = endIsDue ? null : (againUs ?? null);
    this.#put.run({ ...key, held: outcome === 'held' && dueUs !== null ? 1 : 0, told, attempts, dueUs });
    return true;
  }

  #makeEndDue({ receiver, deviceId, incidentId }: Omit<NotificationKey, 'claim'>, nowUs: number): boolean {
    return this.#endIsDue.run({ receiver, deviceId, incidentId, nowUs }).changes > 0;
  }
}
