import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type Database from 'better-sqlite3';

/**
 * Ledger rows of sequences whose readings are stored under another epoch, so that the audit of this one is whole.
 * Neighbours are one row.
 */
export class CopiedRanges {
  readonly #select;
  readonly #extend;
  readonly #insert;
  readonly #covering;

  constructor(db: Database.Database) {
    this.#select = db
      .prepare<[number, number, number, number], number>(
        'SELECT first FROM ledger WHERE device_id = ? AND epoch_id = ? AND reason = ? AND last = ?',
      )
      .pluck();
    this.#covering = db
      .prepare<[number, number, number, number, number], number>(
        'SELECT 1 FROM ledger WHERE device_id = ? AND epoch_id = ? AND reason = ? AND first <= ? AND last >= ?',
      )
      .pluck();
    this.#extend = db.prepare(
      `UPDATE ledger SET last = last + 1, readings = readings + ?
       WHERE device_id = ? AND epoch_id = ? AND reason = ? AND first = ? AND last = ?`,
    );
    this.#insert = db.prepare(
      'INSERT INTO ledger (device_id, epoch_id, reason, first, last, readings, bound) VALUES (?, ?, ?, ?, ?, ?, 0)',
    );
  }

  has(deviceId: number, epochId: number, sequence: number): boolean {
    return this.#covering.get(deviceId, epochId, LossReason.COPIED, sequence, sequence) !== undefined;
  }

  add(deviceId: number, epochId: number, sequence: number, readings: number): void {
    const reason = LossReason.COPIED;
    const first = this.#select.get(deviceId, epochId, reason, sequence - 1);
    if (first === undefined) this.#insert.run(deviceId, epochId, reason, sequence, sequence, readings);
    else this.#extend.run(readings, deviceId, epochId, reason, first, sequence - 1);
  }
}
