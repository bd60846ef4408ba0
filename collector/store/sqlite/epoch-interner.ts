import type Database from 'better-sqlite3';

/** Gives each epoch of a device a small number of its own, from 1. */
export class EpochInterner {
  readonly #select;
  readonly #insert;

  constructor(db: Database.Database) {
    this.#select = db
      .prepare<[number, Uint8Array], number>('SELECT epoch_id FROM epochs WHERE device_id = ? AND epoch = ?')
      .pluck();
    this.#insert = db
      .prepare<[number, Uint8Array, number], number>(
        `INSERT INTO epochs (device_id, epoch, epoch_id)
         SELECT ?, ?, coalesce(max(epoch_id), 0) + 1 FROM epochs WHERE device_id = ? RETURNING epoch_id`,
      )
      .pluck();
  }

  /** Undefined for one that is not known. */
  find(deviceId: number, epoch: Uint8Array): number | undefined {
    return this.#select.get(deviceId, epoch);
  }

  intern(deviceId: number, epoch: Uint8Array): number {
    return this.find(deviceId, epoch) ?? (this.#insert.get(deviceId, epoch, deviceId) as number);
  }
}
