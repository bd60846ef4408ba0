import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { batch, register } from '../conformance/data.js';
import { SqliteStore } from './sqlite-store.js';

const KILLS = Number(process.env.TRIBUTARY_KILLS ?? 10);
const SEED = 20_260_721;

describe('a store whose process is killed', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tributary-crash-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it(`has everything that was resolved, after each of ${KILLS} kills`, async () => {
    const path = join(folder, 'tributary.db');
    let random = SEED;
    let itemsDurable = 0;
    for (let kill = 1; kill <= KILLS; kill++) {
      random = (random * 48_271) % 0x7fff_ffff;
      const resolved = await runAndKill(path, random);
      const store = await SqliteStore.open({ path });
      for (const [index, name] of ['a', 'b', 'c'].entries()) {
        const { deviceId, epochs } = await register(store, name);
        const durable = epochs[0].highestSequence;
        itemsDurable = Math.max(itemsDurable, durable);
        expect(durable).toBeGreaterThanOrEqual(resolved[index]);
        expect(epochs[0].ranges).toEqual(durable === 0 ? [] : [{ first: 1, last: durable }]);
        const [audit] = await store.audit(deviceId);
        expect(audit).toMatchObject({ produced: durable * 10, stored: durable * 10, missing: 0, doubled: 0 });
        const stored = await store.readAfter(deviceId, 0, Number.POSITIVE_INFINITY);
        const last = stored.at(-1)?.items.at(-1);
        if (durable > 0) expect(last?.body).toEqual(batch(durable).body);
        expect(stored.map(({ position }) => position)).toEqual(
          [...stored.map(({ position }) => position)].sort((a, b) => a - b),
        );
      }
      await store.close();
    }
    expect(itemsDurable).toBeGreaterThan(0);
  });
});

describe('a store whose disk takes no more', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tributary-full-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('says so, still answers, and has everything that was resolved', async () => {
    const path = join(folder, 'tributary.db');
    // Files of 1600 blocks of 512 bytes at the most: writing beyond is an error of the file system.
    const script = `ulimit -f 1600 && exec "$0" "$@"`;
    const fixture = fileURLToPath(new URL('./committer.fixture.js', import.meta.url));
    const child = spawn('sh', ['-c', script, process.execPath, fixture, path, '7'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    const resolved = [0, 0, 0];
    let failures = 0;
    let audited = -1;
    for await (const line of createInterface(child.stdout)) {
      const [what, value] = line.split(' ');
      if (what === 'failed') {
        expect(['full', 'io']).toContain(value);
        failures++;
      } else if (what === 'audited') audited = Number(value);
      else resolved[Number(what)] = Number(value);
    }
    expect(await exited).toEqual([0, null]);
    expect(failures).toBeGreaterThan(0);
    const readings = resolved.reduce((sum, last) => sum + last * 10, 0);
    expect(audited).toBeGreaterThanOrEqual(readings);
    const store = await SqliteStore.open({ path });
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      const { epochs } = await register(store, name);
      expect(epochs[0].highestSequence).toBeGreaterThanOrEqual(resolved[index]);
    }
    const audits = await store.audit(undefined);
    expect(audits.reduce((sum, { stored }) => sum + stored, 0)).toBe(audited);
    expect(audits.reduce((sum, { missing }) => sum + missing, 0)).toBe(0);
    await store.close();
  });
});

/** Lets a collector commit until some line, kills it some moment after that, and answers what it had said was durable. */
async function runAndKill(path: string, random: number): Promise<number[]> {
  const child = fork(fileURLToPath(new URL('./committer.fixture.js', import.meta.url)), [path, String(random)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const resolved = [0, 0, 0];
  let lines = 0;
  if (child.stdout === null) throw new Error('the child has no output');
  for await (const line of createInterface(child.stdout)) {
    const [index, last] = line.split(' ').map(Number);
    resolved[index] = last;
    // The lines after the kill that were already on their way count too: they were said.
    if (++lines === 1 + (random % 40)) setTimeout(() => child.kill('SIGKILL'), (random % 97) / 10);
  }
  const [, signal] = await exited;
  expect(signal).toBe('SIGKILL');
  return resolved;
}
