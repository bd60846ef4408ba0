import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BufferCore } from './buffer-core.js';
import { openBufferFile } from './buffer-file.js';
import { BATCH } from './loss-entries.js';
import { ModelWorld } from './model-world.js';
import { salvage } from './salvage.js';
import { SqliteItemTable } from './sqlite-item-table.js';
import { decodeThinnedBatch, THINNED_BATCH } from './thinned-batch.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-salvage-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const QUOTA_BYTES = 20_000;
const newEpoch = (): Uint8Array => new Uint8Array(16).fill(1);

describe('the salvage of a buffer that was thinned', () => {
  it('leaves out a row that comes to light again beside the item that took its place', () => {
    const path = join(directory, 'old.db');
    const { db } = openBufferFile(path, QUOTA_BYTES, { newEpoch });
    const core = new BufferCore(new SqliteItemTable(db), QUOTA_BYTES, newEpoch(), 20_000);
    const world = new ModelWorld();
    const shape = { rows: 40, series: 1, segment: 1, isProtected: false };
    while (core.state.readingsThinned === 0) {
      const { sequences } = core.append(world.makeAll([shape]));
      world.produced([shape], '', sequences);
    }
    const { state } = core;
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    const into = openBufferFile(join(directory, 'new.db'), QUOTA_BYTES, { newEpoch }).db;
    const nowMs = () => 0;
    const found = { path, log: undefined, mark: undefined, isTailSure: true, known: state };
    salvage(into, { ...found, quotaBytes: QUOTA_BYTES, newEpoch, nowMs });
    const rows = new SqliteItemTable(into).items(1, 10_000, 1 << 30);
    into.close();
    const thinned = rows.filter(({ kind }) => kind === THINNED_BATCH);
    expect(thinned.length).toBeGreaterThan(0);
    const replaced = thinned.flatMap(({ body }) => decodeThinnedBatch(body).replaced);
    const batches = rows.filter(({ kind }) => kind === BATCH);
    expect(batches.length).toBeGreaterThan(0);
    for (const { sequence } of batches) {
      expect(replaced.some(({ first, last }) => first <= sequence && sequence <= last)).toBe(false);
    }
  });
});
