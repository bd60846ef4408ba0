import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { alert, batch, batches, bytes16, commit, NOW_US, part, READINGS, register } from '../conformance/data.js';
import { ItemOutcome } from '../store.js';
import { backUp, restore } from './backup.js';
import { SqliteStore } from './sqlite-store.js';

const { Stored, Duplicate } = ItemOutcome;

let folder: string;
let path: string;
let copy: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-backup-'));
  path = join(folder, 'store.db');
  copy = join(folder, 'copies', 'backup.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

const removeStore = () => {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
};

describe('a backup', () => {
  it('made while a collector commits is a prefix of what it committed, again and again', async () => {
    const fixture = fileURLToPath(new URL('./committer.fixture.js', import.meta.url));
    const child = fork(fixture, [path, '47'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    const resolved = [0, 0, 0];
    let lines = 0;
    const held: number[][] = [];
    if (child.stdout === null) throw new Error('the child has no output');
    for await (const line of createInterface(child.stdout)) {
      const [index, last] = line.split(' ').map(Number);
      resolved[index] = last;
      if (++lines % 20 !== 0 || held.length === 3) continue;
      const { epochs } = backUp(path, copy);
      expect(epochs.map(({ missing, doubled }) => [missing, doubled])).toEqual(epochs.map(() => [0, 0]));
      const stored = ['a', 'b', 'c'].map((name) => epochs.find(({ device }) => device === name)?.stored ?? 0);
      held.push(stored);
      // What was resolved before it began is in it.
      for (const [at, readings] of stored.entries()) expect(readings).toBeGreaterThanOrEqual(resolved[at] * READINGS);
      if (held.length === 3) child.kill('SIGKILL');
    }
    await exited;
    // A later one holds at least what an earlier one does.
    expect(held).toHaveLength(3);
    expect(held[2].every((readings, at) => readings >= held[0][at])).toBe(true);
    expect(readdirSync(join(folder, 'copies'))).toEqual(['backup.db']);
  });

  it('put back takes what is sent again once, and shows what came after it as missing, exactly', async () => {
    let store = await SqliteStore.open({ path });
    const device = await register(store, 'd');
    const { deviceId } = device;
    await commit(store, device, batches(1, 5));
    await store.appendAlerts([alert(deviceId, 1, AlertState.FIRING)], NOW_US);
    backUp(path, copy);
    // The device is told that 6 to 8 are durable, and deletes them.
    await commit(store, device, batches(6, 8));
    await store.appendAlerts(
      [2, 3].map((incident) => alert(deviceId, incident, AlertState.FIRING)),
      NOW_US,
    );
    const later = await register(store, 'd', { startId: bytes16(2) });
    await store.close();
    removeStore();

    restore(copy, path);
    store = await SqliteStore.open({ path });
    const another = await register(store, 'd', { startId: bytes16(3) });
    expect(another.epochs[0].ranges).toEqual([{ first: 1, last: 5 }]);
    expect(another.fencingToken).toBeGreaterThan(later.fencingToken);
    expect(await store.commit([part(later, [batch(6)])], NOW_US)).toEqual([{ outcome: 'fenced' }]);
    const again = await commit(store, another, [batch(4), batch(5), batch(9)]);
    expect([...again.items]).toEqual([Duplicate, Duplicate, Stored]);
    expect(await store.audit(undefined)).toMatchObject([
      { produced: 9 * READINGS, stored: 6 * READINGS, missing: 3 * READINGS, doubled: 0 },
    ]);
    // No number that the device has seen is given to another alert.
    const [added] = await store.appendAlerts([alert(deviceId, 4, AlertState.FIRING)], NOW_US);
    expect(added.alert.number).toBeGreaterThan(3);
    expect(await store.readAlerts(deviceId, 3, 10)).toHaveLength(1);
    await store.close();
  });

  it('is not put back over a store, nor under a collector that runs', async () => {
    const store = await SqliteStore.open({ path });
    await register(store, 'd');
    backUp(path, copy);
    expect(() => restore(copy, path)).toThrow('move it aside');
    rmSync(path);
    expect(() => restore(copy, path)).toThrow('another collector');
    await store.close();
    removeStore();
    writeFileSync(`${path}-wal`, 'of another');
    expect(() => restore(copy, path)).toThrow('-wal is there');
    expect(existsSync(path)).toBe(false);
  });

  it('is not written over the store that it is of, whatever that is called', async () => {
    const store = await SqliteStore.open({ path });
    const device = await register(store, 'd');
    const link = join(folder, 'link.db');
    symlinkSync(path, link);
    for (const name of [path, link]) expect(() => backUp(path, name)).toThrow('is the store itself');
    await commit(store, device, [batch(1)]);
    await store.close();
    const again = await SqliteStore.open({ path });
    expect((await register(again, 'd')).epochs[0].ranges).toEqual([{ first: 1, last: 1 }]);
    await again.close();
  });

  it('takes the place of nothing but a file', async () => {
    const store = await SqliteStore.open({ path });
    const socket = join(folder, 'socket');
    const server = createServer().listen(socket);
    await once(server, 'listening');
    for (const name of [socket, folder]) expect(() => backUp(path, name)).toThrow('is not a file');
    expect(statSync(socket).isSocket()).toBe(true);
    server.close();
    await store.close();
  });

  it('that is damaged is not put back, and one that cannot be made leaves the last one', async () => {
    const store = await SqliteStore.open({ path });
    const device = await register(store, 'd');
    await commit(store, device, [batch(1, { body: new Uint8Array(20_000).fill(3) }), ...batches(2, 50)]);
    backUp(path, copy);
    await store.close();
    removeStore();
    const { length } = readFileSync(copy);
    truncateSync(copy, length - 8192);
    expect(() => restore(copy, path)).toThrow(/damaged|malformed/);
    expect(existsSync(path)).toBe(false);
    expect(() => backUp(join(folder, 'absent.db'), copy)).toThrow('is not there');
    const other = join(folder, 'notes.txt');
    writeFileSync(other, 'not a database, but long enough to be read as one '.repeat(50));
    expect(() => backUp(other, copy)).toThrow('no SQLite database');
    expect(readFileSync(copy)).toHaveLength(length - 8192);
    expect(readdirSync(join(folder, 'copies'))).toEqual(['backup.db']);
  });
});
