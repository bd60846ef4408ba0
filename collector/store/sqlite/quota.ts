import type Database from 'better-sqlite3';
import { StoreError } from '../store-error.js';

/** SQLite's own limit, which is no limit. */
const PAGES_MAX = 0xffff_fffe;

/**
 * How large the database may become by what devices send. At the quota a commit fails as if the disk were full, and the
 * devices keep their data. Alerts, rollups and whatever makes room are not bound: they are small, and an expiry has to
 * write its ledger row before it can free a chunk.
 */
export class Quota {
  readonly #bind: () => void;
  readonly #lift: () => void;
  readonly #probe: () => void;

  constructor(db: Database.Database, bytesMax: number) {
    const pageBytes = db.pragma('page_size', { simple: true }) as number;
    const pages = Math.min(PAGES_MAX, Math.max(1, Math.floor(bytesMax / pageBytes)));
    const touch = db.prepare(
      'UPDATE devices SET last_seen_us = last_seen_us WHERE device_id = (SELECT min(device_id) FROM devices)',
    );
    this.#probe = () => {
      const [used, free] = ['page_count', 'freelist_count'].map((name) => db.pragma(name, { simple: true }) as number);
      if (used - free >= pages) throw new StoreError('full', `the store has reached its quota of ${bytesMax} bytes`);
      touch.run();
    };
    if (pages === PAGES_MAX) {
      this.#bind = () => {};
      this.#lift = () => {};
      return;
    }
    const bind = db.prepare(`PRAGMA max_page_count = ${pages}`);
    const lift = db.prepare(`PRAGMA max_page_count = ${PAGES_MAX}`);
    this.#bind = () => void bind.get();
    this.#lift = () => void lift.get();
  }

  /** Rewrites a row as it is, durably. Throws what a commit would when there is no room. */
  probe(): void {
    this.#probe();
  }

  /** The operation, bound by the quota. */
  bound<P extends unknown[], R>(operation: (...parameters: P) => R): (...parameters: P) => R {
    return (...parameters) => {
      this.#bind();
      try {
        return operation(...parameters);
      } finally {
        this.#lift();
      }
    };
  }
}
