import type Database from 'better-sqlite3';

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

  constructor(db: Database.Database, bytesMax: number) {
    const pageBytes = db.pragma('page_size', { simple: true }) as number;
    const pages = Math.min(PAGES_MAX, Math.max(1, Math.floor(bytesMax / pageBytes)));
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
