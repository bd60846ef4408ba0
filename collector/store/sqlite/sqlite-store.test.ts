import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { readingsBatch, TestDevice } from '../../rules/test-device.js';
import { describeStore } from '../conformance.js';
import { openMemory } from './schema.js';
import { SqliteStore } from './sqlite-store.js';

let folder = '';
let store: SqliteStore | undefined;
const open = async () => {
  store = await SqliteStore.open({ path: join(folder, 'data', 'tributary.db') });
  return store;
};

describeStore('SQLite', {
  create: async () => {
    folder = await mkdtemp(join(tmpdir(), 'tributary-store-'));
    return open();
  },
  reopen: async () => {
    await store?.close();
    return open();
  },
  remove: async () => {
    await store?.close();
    await rm(folder, { recursive: true });
  },
});

let memory = openMemory();
let inMemory = SqliteStore.openInMemory(memory);
describeStore('SQLite in memory', {
  create: async () => {
    memory = openMemory();
    inMemory = SqliteStore.openInMemory(memory);
    return inMemory;
  },
  reopen: async () => {
    await inMemory.close();
    inMemory = SqliteStore.openInMemory(memory);
    return inMemory;
  },
  remove: async () => {
    await inMemory.close();
    memory.close();
  },
});

it('is read beside the process that writes to it, and cannot be written then', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'tributary-store-')), 'tributary.db');
  const writing = await SqliteStore.open({ path });
  const device = await new TestDevice(writing, 'kiln').register();
  await device.commit([device.item(readingsBatch([[1, 20]]))]);
  const reading = await SqliteStore.openForReading({ path });
  const range = { deviceId: device.deviceId, fromUs: 0, untilUs: 9e15 };
  expect((await reading.readRange(range, '', 1000)).items).toHaveLength(1);
  // What is committed afterwards is seen as well.
  await device.commit([device.item(readingsBatch([[2, 21]]))]);
  const { items } = await reading.readRange(range, '', 1000);
  expect(items.flatMap((group) => group.items)).toHaveLength(2);
  await expect(reading.probe()).rejects.toMatchObject({ code: 'busy' });
  await reading.close();
  await writing.close();
  await rm(join(path, '..'), { recursive: true });
});

it('is not read where it is no store, or one of another version', async () => {
  const at = await mkdtemp(join(tmpdir(), 'tributary-store-'));
  await expect(SqliteStore.openForReading({ path: join(at, 'none.db') })).rejects.toThrow(/there is no store/);
  const other = new Database(join(at, 'other.db'));
  other.exec('CREATE TABLE t (a)');
  other.close();
  await expect(SqliteStore.openForReading({ path: join(at, 'other.db') })).rejects.toThrow(/is no store/);
  const path = join(at, 'old.db');
  await (await SqliteStore.open({ path })).close();
  const old = new Database(path);
  old.pragma('user_version = 1');
  old.close();
  await expect(SqliteStore.openForReading({ path })).rejects.toThrow(/has schema version 1.*once/);
  await rm(at, { recursive: true });
});
