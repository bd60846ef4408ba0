import { statSync } from 'node:fs';
import { SqliteStore } from '@tributary/collector/store/sqlite/sqlite-store';
import Database from 'better-sqlite3';

export interface StoreSize {
  /** Every page of the file that is not the rollups': bodies, heads, indexes, ledger, free pages and page waste. */
  bytesAtRest: number;
  rollupBytes: number;
  /** What merging small chunks cost. The collector does it once a minute, so it belongs to what taking readings costs. */
  compactionCpuSeconds: number;
}

/** Compacts the store of a collector that has stopped, and weighs it by the table that each page belongs to. */
export async function weighStore(path: string): Promise<StoreSize> {
  const store = await SqliteStore.open({ path });
  const before = process.cpuUsage();
  while ((await store.compact()) > 0);
  const { user, system } = process.cpuUsage(before);
  await store.close();
  const db = new Database(path, { readonly: true });
  try {
    const rollupBytes = db
      .prepare<[], { bytes: number | null }>(
        `SELECT sum(pgsize) AS bytes FROM dbstat
         WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'rollups')`,
      )
      .get()?.bytes;
    if (rollupBytes === undefined || rollupBytes === null) throw new Error(`${path} has no rollups`);
    return {
      bytesAtRest: statSync(path).size - rollupBytes,
      rollupBytes,
      compactionCpuSeconds: (user + system) / 1e6,
    };
  } finally {
    db.close();
  }
}
