import type Database from 'better-sqlite3';

/** Readings of an epoch that lie in a thinned item; `itemEpochId` is 0 for all of those that have expired. */
export interface ThinnedRow {
  itemEpochId: number;
  itemSequence: number;
  kept: number;
}

/**
 * Which items hold readings that were produced under other sequences. A thinned item has no count of its own in the order
 * of its epoch, so the audit finds here what of a replaced gap is stored, and what expired with it.
 */
export class ThinnedTable {
  readonly #put;
  readonly #list;
  readonly #ofItem;
  readonly #delete;

  constructor(db: Database.Database) {
    this.#put = db.prepare(
      `INSERT INTO thinned (device_id, epoch_id, item_epoch_id, item_sequence, kept) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET kept = kept + excluded.kept`,
    );
    this.#list = db.prepare<[number, number], ThinnedRow>(
      `SELECT item_epoch_id AS itemEpochId, item_sequence AS itemSequence, kept FROM thinned
       WHERE device_id = ? AND epoch_id = ? ORDER BY item_epoch_id, item_sequence`,
    );
    this.#ofItem = db.prepare<[number, number, number], { epoch_id: number; kept: number }>(
      'SELECT epoch_id, kept FROM thinned WHERE device_id = ? AND item_epoch_id = ? AND item_sequence = ?',
    );
    this.#delete = db.prepare('DELETE FROM thinned WHERE device_id = ? AND item_epoch_id = ? AND item_sequence = ?');
  }

  /** An item holds `kept` readings of an epoch. */
  add(deviceId: number, epochId: number, itemEpochId: number, itemSequence: number, kept: number): void {
    this.#put.run(deviceId, epochId, itemEpochId, itemSequence, kept);
  }

  list(deviceId: number, epochId: number): ThinnedRow[] {
    return this.#list.all(deviceId, epochId);
  }

  /** The item is being removed: what it held has expired. One row an epoch remembers that, however many there were. */
  expire(deviceId: number, itemEpochId: number, itemSequence: number): void {
    const rows = this.#ofItem.all(deviceId, itemEpochId, itemSequence);
    this.#delete.run(deviceId, itemEpochId, itemSequence);
    for (const { epoch_id, kept } of rows) this.#put.run(deviceId, epoch_id, 0, 0, kept);
  }
}
