import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBufferFile } from './buffer-file.js';
import { deferred, runBufferModel } from './buffer-model.js';
import { SqliteItemTable } from './sqlite-item-table.js';

describe('the policy in lock-step with a naive account of every reading', () => {
  it('holds in memory, with a disk that fails', () => {
    const run = runBufferModel(Number(process.env.TRIBUTARY_PROPERTY_RUNS ?? 250), 20240229);
    expect(run.why).toBeUndefined();
    // The histories go where it hurts.
    expect(run.readingsThinned).toBeGreaterThan(3_000);
    expect(run.readingsEvicted).toBeGreaterThan(3_000);
    expect(run.itemsRejected).toBeGreaterThan(10);
    expect(run.diskFailures).toBeGreaterThan(100);
  });

  it('holds where durability is deferred', () => {
    const run = runBufferModel(120, 20240301, deferred);
    expect(run.why).toBeUndefined();
    expect(run.readingsThinned).toBeGreaterThan(1_000);
    expect(run.diskFailures).toBeGreaterThan(25);
  });

  it('holds over SQLite', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tributary-buffer-'));
    let file = 0;
    try {
      const run = runBufferModel(40, 20240229, () => {
        const { db } = openBufferFile(join(directory, `${file++}.db`), 1 << 20);
        return { table: new SqliteItemTable(db), close: () => db.close() };
      });
      expect(run.why).toBeUndefined();
      expect(run.readingsThinned).toBeGreaterThan(100);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
