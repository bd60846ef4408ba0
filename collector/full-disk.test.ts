import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '@tributary/core/config/load-config';
import { createLogger } from '@tributary/core/log/logger';
import { DeferralReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Collector, startCollector } from './collector.js';
import { TestClient } from './collector-client.fixture.js';
import { collectorSchema } from './config/schema.js';
import { createCa, issueDevice, issueServer } from './identity/pki.js';
import { batchBody, item } from './ingest/ingest-fixture.js';
import { SqliteStore } from './store/sqlite/sqlite-store.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-full-disk-'));
const disk = join(root, 'disk');
const MIB = 1024 * 1024;

/** A file system of its own needs root; where there is none, these are skipped, and say so. */
function mounted(): boolean {
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const isMounted = mounted();

describe.skipIf(!isMounted)('a collector on a disk of 24 MiB (needs root)', () => {
  let collector: Collector;
  let client: TestClient;
  const path = join(disk, 'store', 'collector.db');

  beforeAll(async () => {
    const pki = { dir: join(root, 'pki'), days: 30, nowMs: Date.now() };
    const ca = await createCa({ ...pki, trustDomain: 'example.org' });
    const server = await issueServer({ ...pki, hosts: ['127.0.0.1'] });
    const device = await issueDevice({ ...pki, device: 'pump' });
    const text = `
listen: 127.0.0.1:0
tls: { ca: ${ca.cert}, cert: ${server.cert}, key: ${server.key} }
trustDomain: example.org
store: { sqlite: { path: ${path} } }
health: { listen: 127.0.0.1:0 }
log: { level: silent }
`;
    const config = parseConfig(text, join(root, 'collector.yaml'), collectorSchema);
    collector = await startCollector(config, { logger: createLogger('test', 'silent') });
    client = new TestClient(collector.address.port, { ca: ca.cert, cert: device.cert, key: device.key });
  });

  afterAll(async () => {
    client.close();
    await collector.stop();
  });

  it('pushes back while another file eats the space, loses nothing, and goes on by itself when it is gone', async () => {
    const epoch = randomBytes(16);
    const { fencingToken } = await client.register(epoch);
    const values = Array.from({ length: 1000 }, () => Math.random());
    const body = batchBody(values);
    const items = (first: number, count: number) =>
      Array.from({ length: count }, (_, at) => {
        const sequence = first + at;
        return item(sequence, body, { readings: 1000, readingsBefore: (sequence - 1) * 1000 }, epoch);
      });
    const upload = (first: number, count: number) => client.upload({ epoch, fencingToken }, items(first, count));
    const readiness = async () => {
      const { host, port } = collector.healthAddress;
      return (await fetch(`http://${host}:${port}/readyz`)).status;
    };
    expect((await upload(1, 20)).durable).toEqual([{ first: 1, last: 20 }]);
    expect(await readiness()).toBe(200);
    const eaten = join(disk, 'eater');
    eatAll(eaten);

    let durable = 20;
    let refused = 0;
    for (let round = 0; round < 20 && refused < 3; round++) {
      const answer = await upload(durable + 1, 20);
      for (const { last } of answer.durable) durable = Math.max(durable, last);
      if (answer.later.length === 0) continue;
      expect(answer.later[0]).toMatchObject({ reason: DeferralReason.STORE });
      expect(answer.later[0]!.delayMs).toBeGreaterThan(0);
      refused++;
    }
    expect(refused).toBe(3);
    await vi.waitFor(async () => expect(await readiness()).toBe(503));

    rmSync(eaten);
    // Without anybody sending: a balancer sends nobody to a collector that is not ready.
    await vi.waitFor(async () => expect(await readiness()).toBe(200), { timeout: 10_000 });
    const after = await upload(durable + 1, 20);
    expect(after.durable).toEqual([{ first: durable + 1, last: durable + 20 }]);
    await collector.stop();
    const store = await SqliteStore.open({ path });
    const readings = (durable + 20) * 1000;
    expect(await store.audit(undefined)).toMatchObject([
      { produced: readings, stored: readings, missing: 0, doubled: 0 },
    ]);
    await store.close();
  });
});

afterAll(() => {
  if (isMounted) execFileSync('umount', ['-l', disk]);
  rmSync(root, { recursive: true, force: true });
});

function eatAll(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const size of [MIB, 4096]) {
      const block = Buffer.alloc(size, 1);
      try {
        while (writeSync(file, block) === size);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
