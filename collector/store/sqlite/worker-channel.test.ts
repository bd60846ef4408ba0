import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, expect, it } from 'vitest';
import { SqliteStore } from './sqlite-store.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-channel-'));

afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('brings an error that nobody foresaw out of the thread with its message and stack', async () => {
  const path = join(folder, 'store.db');
  await (await SqliteStore.open({ path })).close();
  const db = new Database(path);
  db.pragma('foreign_keys = OFF');
  db.exec('DROP TABLE alerts');
  db.close();
  const failure: unknown = await SqliteStore.open({ path }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  expect(failure).toMatchObject({
    message: 'SQLITE_ERROR: no such table: alerts',
    stack: expect.stringContaining('store-worker'),
  });
});
