import type Database from 'better-sqlite3';

/**
 * A process that starts prepares the statements of the one before it: an hour has some twenty starts, of sixty statements
 * each. Statements hold nothing of what ran through them, so they are taken over, in the order in which they were prepared.
 */
export class StatementPool {
  readonly #db: Database.Database;
  readonly #bySource = new Map<string, Database.Statement[]>();

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Whoever had prepared statements within an earlier call must not use them any more. */
  within<T>(make: () => T): T {
    const db = this.#db;
    const { prepare } = db;
    const taken = new Map<string, number>();
    const pooled = (source: string): Database.Statement => {
      const statements = this.#bySource.get(source) ?? [];
      this.#bySource.set(source, statements);
      const at = taken.get(source) ?? 0;
      taken.set(source, at + 1);
      statements[at] ??= prepare.call(db, source) as Database.Statement;
      return statements[at];
    };
    db.prepare = pooled as typeof prepare;
    try {
      return make();
    } finally {
      db.prepare = prepare;
    }
  }
}
