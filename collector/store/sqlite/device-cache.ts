import type Database from 'better-sqlite3';
import { type IntervalChange, IntervalSet } from '../interval-set.js';

export interface CachedDevice {
  fencingToken: number;
  position: number;
  /** The epoch that came last; in the others only copies of the buffer still send. */
  newestEpochId: number;
}

export interface CachedEpoch {
  epoch: Uint8Array;
  highestSequence: number;
  highestChecksum: number | null;
  readingsEnd: number;
  saidProduced: number;
  saidWaiting: number;
  /** Readings stored since the device said so; what of `saidWaiting` has come. */
  storedSinceSaid: number;
  /** Up to here its items may have been moved from another epoch. */
  movedUpTo: number;
  /** Another buffer than the one that asks may have sent what is stored. */
  isCopied: boolean;
  intervals: IntervalSet;
}

/** About 1 KB each with its intervals; beyond this everything is forgotten and read again as needed. */
const EPOCHS_CACHED_MAX = 20_000;

/**
 * What a commit must know of devices and epochs, kept between commits because one process owns the file. The tables are
 * the truth: whatever changes here is written in the same transaction, and when that fails all of it must be dropped.
 */
export class DeviceCache {
  readonly #devices = new Map<number, CachedDevice>();
  /** By device, then by epoch. */
  readonly #epochs = new Map<number, Map<number, CachedEpoch>>();
  #epochsCached = 0;
  readonly #selectDevice;
  readonly #selectEpoch;
  readonly #selectIntervals;
  readonly #deleteInterval;
  readonly #putInterval;
  readonly #noteCopied;

  constructor(db: Database.Database) {
    this.#selectDevice = db.prepare<[number], { fencing_token: number; position: number; newest: number | null }>(
      `SELECT fencing_token, position, (SELECT max(epoch_id) FROM epochs WHERE device_id = devices.device_id) AS newest
       FROM devices WHERE device_id = ?`,
    );
    this.#selectEpoch = db.prepare<
      [number, number],
      {
        epoch: Buffer;
        highest_sequence: number;
        highest_checksum: number | null;
        readings_end: number;
        said_produced: number;
        said_waiting: number;
        stored_since_said: number;
        moved_up_to: number;
        is_copied: number;
      }
    >('SELECT * FROM epochs WHERE device_id = ? AND epoch_id = ?');
    this.#selectIntervals = db.prepare<[number, number], { first: number; last: number }>(
      'SELECT first, last FROM intervals WHERE device_id = ? AND epoch_id = ? ORDER BY first',
    );
    this.#deleteInterval = db.prepare('DELETE FROM intervals WHERE device_id = ? AND epoch_id = ? AND first = ?');
    this.#noteCopied = db.prepare('UPDATE epochs SET is_copied = 1 WHERE device_id = ? AND epoch_id = ?');
    this.#putInterval = db.prepare(
      `INSERT INTO intervals (device_id, epoch_id, first, last) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET last = excluded.last`,
    );
  }

  /** Notes that two buffers have written to an epoch. */
  noteCopied(deviceId: number, epochId: number, epoch: CachedEpoch): void {
    if (epoch.isCopied) return;
    epoch.isCopied = true;
    this.#noteCopied.run(deviceId, epochId);
  }

  /** Forgets everything: after a transaction that failed, or that changed the tables beside this cache. */
  clear(): void {
    this.#devices.clear();
    this.#epochs.clear();
    this.#epochsCached = 0;
  }

  /** Call between transactions only: an epoch that is being changed must not be read anew. */
  trim(): void {
    if (this.#epochsCached > EPOCHS_CACHED_MAX) this.clear();
  }

  device(deviceId: number): CachedDevice | undefined {
    const cached = this.#devices.get(deviceId);
    if (cached !== undefined) return cached;
    const row = this.#selectDevice.get(deviceId);
    if (row === undefined) return undefined;
    const device = { fencingToken: row.fencing_token, position: row.position, newestEpochId: row.newest ?? 0 };
    this.#devices.set(deviceId, device);
    return device;
  }

  epoch(deviceId: number, epochId: number): CachedEpoch | undefined {
    let epochs = this.#epochs.get(deviceId);
    const cached = epochs?.get(epochId);
    if (cached !== undefined) return cached;
    const row = this.#selectEpoch.get(deviceId, epochId);
    if (row === undefined) return undefined;
    const intervals = new IntervalSet();
    for (const { first, last } of this.#selectIntervals.iterate(deviceId, epochId)) intervals.add(first, last);
    const epoch: CachedEpoch = {
      epoch: row.epoch,
      highestSequence: row.highest_sequence,
      highestChecksum: row.highest_checksum,
      readingsEnd: row.readings_end,
      saidProduced: row.said_produced,
      saidWaiting: row.said_waiting,
      storedSinceSaid: row.stored_since_said,
      movedUpTo: row.moved_up_to,
      isCopied: row.is_copied !== 0,
      intervals,
    };
    if (epochs === undefined) {
      epochs = new Map();
      this.#epochs.set(deviceId, epochs);
    }
    epochs.set(epochId, epoch);
    this.#epochsCached++;
    return epoch;
  }

  /** Adds an interval to the set and to the table. */
  addInterval(deviceId: number, epochId: number, epoch: CachedEpoch, first: number, last: number): void {
    const change: IntervalChange = epoch.intervals.add(first, last);
    for (const removed of change.removed) {
      if (removed !== change.first) this.#deleteInterval.run(deviceId, epochId, removed);
    }
    this.#putInterval.run(deviceId, epochId, change.first, change.last);
  }
}
