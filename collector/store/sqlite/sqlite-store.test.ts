import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStore } from '../conformance.js';
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
