import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import { NOTIFICATIONS_PER_RECEIVER_MAX, type ReceiverState } from '../incidents.js';

/** Rows that one step forgets: some 20 ms during which commits wait. */
const FORGET_PER_STEP = 2000;

const { FIRING, RESOLVED } = AlertState;

/**
 * Transitions that wait for receivers, a row each. Of an incident and a receiver one row at the most has a time when it is
 * due: the end gets its own when the beginning is settled, so nothing overtakes, and a claim finds what is due without
 * passing by what must wait. The row of a beginning stays until the incident is over: it says whether the receiver took it.
 */
export class NotificationQueue {
  readonly #receivers;
  readonly #find;
  readonly #insert;
  readonly #rest;
  readonly #grow;
  readonly #oldest;
  readonly #removeIncident;
  readonly #removeOf;
  readonly #shrink;
  readonly #states;
  readonly #release;
  readonly #keep;
  readonly #lengthMax: number;

  constructor(db: Database.Database, lengthMax = NOTIFICATIONS_PER_RECEIVER_MAX) {
    this.#lengthMax = lengthMax;
    this.#receivers = db.prepare<[], { receiver: string; length: number }>('SELECT receiver, length FROM receivers');
    this.#find = db.prepare<[number, Uint8Array, string, AlertState], { told: number; leased: number }>(
      `SELECT told, leased FROM notifications WHERE device_id = ? AND incident_id = ? AND receiver = ? AND state = ?`,
    );
    this.#insert = db.prepare(
      `INSERT OR IGNORE INTO notifications (device_id, incident_id, receiver, state, queued_us, due_us)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#rest = db.prepare(
      `UPDATE notifications SET due_us = NULL WHERE device_id = ? AND incident_id = ? AND receiver = ? AND state = ${FIRING}`,
    );
    this.#grow = db.prepare('UPDATE receivers SET length = length + ? WHERE receiver = ?');
    this.#oldest = db.prepare<[string, AlertState], { deviceId: number; incidentId: Buffer }>(
      `SELECT device_id AS deviceId, incident_id AS incidentId FROM notifications WHERE receiver = ? AND state = ?
       ORDER BY queued_us LIMIT 1`,
    );
    this.#removeIncident = db
      .prepare<[number, Uint8Array, string], number>(
        'DELETE FROM notifications WHERE device_id = ? AND incident_id = ? AND receiver = ? RETURNING told',
      )
      .pluck();
    this.#removeOf = db
      .prepare<[number, Uint8Array], string>(
        'DELETE FROM notifications WHERE device_id = ? AND incident_id = ? RETURNING receiver',
      )
      .pluck();
    this.#shrink = db.prepare('UPDATE receivers SET length = length - ?, dropped = dropped + ? WHERE receiver = ?');
    this.#states = db.prepare<[], { receiver: string; length: number; oldestUs: number | null; dropped: number }>(
      `SELECT receiver, length, dropped,
         (SELECT min(queued_us) FROM notifications AS n WHERE n.receiver = r.receiver AND told = 0) AS oldestUs
       FROM receivers AS r ORDER BY receiver`,
    );
    this.#release = db.prepare(
      `UPDATE notifications SET held = 0, due_us = min(due_us, ?) WHERE held = 1 AND leased = 0 AND due_us IS NOT NULL`,
    );
    this.#keep = this.#prepareKeep(db);
  }

  /** A transition that is not late waits for each receiver. To be used within a transaction. */
  enqueue(deviceId: number, incidentId: Uint8Array, state: AlertState, nowUs: number): void {
    for (const { receiver, length } of this.#receivers.all()) {
      if (length >= this.#lengthMax) this.#makeRoom(receiver);
      let dueUs: number | null = nowUs;
      if (state === RESOLVED) {
        const firing = this.#find.get(deviceId, incidentId, receiver, FIRING);
        // Whoever settles the beginning, which is under way or not yet told, makes the end due.
        if (firing !== undefined && (firing.told === 0 || firing.leased === 1)) dueUs = null;
        else this.#rest.run(deviceId, incidentId, receiver);
      }
      const { changes } = this.#insert.run(deviceId, incidentId, receiver, state, nowUs, dueUs);
      this.#grow.run(changes, receiver);
    }
  }

  /** What waits for a receiver of an incident is done with. To be used within a transaction. */
  remove(deviceId: number, incidentId: Uint8Array, receiver: string): void {
    this.#shrink.run(this.#removeIncident.all(deviceId, incidentId, receiver).length, 0, receiver);
  }

  /** An incident has expired. To be used within a transaction. */
  removeIncident(deviceId: number, incidentId: Uint8Array): void {
    for (const receiver of this.#removeOf.all(deviceId, incidentId)) this.#shrink.run(1, 0, receiver);
  }

  /** One step of {@link Store.keepReceivers}; answers whether it was the last. */
  keepReceiversStep(receivers: readonly string[], nowUs: number, forgetBeforeUs: number): boolean {
    return this.#keep(receivers, nowUs, forgetBeforeUs);
  }

  /** See {@link Store.releaseNotifications}. */
  release(nowUs: number): number {
    return this.#release.run(nowUs).changes;
  }

  states(): ReceiverState[] {
    return this.#states.all().map(({ oldestUs, ...state }) => ({ ...state, oldestUs: oldestUs ?? undefined }));
  }

  /** Gives up an incident that is over, or else the oldest one. */
  #makeRoom(receiver: string): void {
    const oldest = this.#oldest.get(receiver, RESOLVED) ?? this.#oldest.get(receiver, FIRING);
    if (oldest === undefined) return;
    const told = this.#removeIncident.all(oldest.deviceId, oldest.incidentId, receiver);
    this.#shrink.run(told.length, told.filter((one) => one === 0).length, receiver);
  }

  #prepareKeep(db: Database.Database) {
    const see = db.prepare('UPDATE receivers SET seen_us = max(seen_us, ?) WHERE receiver = ?');
    const begin = db.prepare('INSERT INTO receivers (receiver, seen_us) VALUES (?, ?)');
    const open = db.prepare(
      `INSERT INTO notifications (device_id, incident_id, receiver, state, queued_us, due_us)
       SELECT device_id, incident_id, :receiver, ${FIRING}, :nowUs, :nowUs FROM incidents INDEXED BY incidents_open
       WHERE resolved_at_us IS NULL AND notified = 1 ORDER BY incident_row DESC LIMIT :lengthMax`,
    );
    const unseen = db
      .prepare<[number], string>('SELECT receiver FROM receivers WHERE seen_us < ? ORDER BY receiver LIMIT 1')
      .pluck();
    const removeSome = db.prepare(
      `DELETE FROM notifications WHERE (device_id, incident_id, receiver, state) IN (
         SELECT device_id, incident_id, receiver, state FROM notifications WHERE receiver = ? LIMIT ?)`,
    );
    const forget = db.prepare('DELETE FROM receivers WHERE receiver = ?');
    return db.transaction((receivers: readonly string[], nowUs: number, forgetBeforeUs: number): boolean => {
      for (const receiver of receivers) {
        if (see.run(nowUs, receiver).changes === 1) continue;
        begin.run(receiver, nowUs);
        this.#grow.run(open.run({ receiver, nowUs, lengthMax: this.#lengthMax }).changes, receiver);
      }
      const forgotten = unseen.get(forgetBeforeUs);
      if (forgotten === undefined) return true;
      const { changes } = removeSome.run(forgotten, FORGET_PER_STEP);
      if (changes < FORGET_PER_STEP) forget.run(forgotten);
      return false;
    }).immediate;
  }
}
