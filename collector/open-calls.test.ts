import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { status } from '@grpc/grpc-js';
import { DeferralReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestClient } from './collector-client.fixture.js';
import { batchBody, item } from './ingest/ingest-fixture.js';
import { SqliteStore } from './store/sqlite/sqlite-store.js';
import { TestSite } from './test-site.fixture.js';

let site: TestSite;

beforeAll(async () => {
  site = await TestSite.make('open');
});

afterAll(() => site.remove());

function items(epoch: Buffer<ArrayBuffer>, first: number, last: number) {
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const sequence = first + at;
    return item(sequence, batchBody([sequence, 1, 2], { startUs: sequence * 3000 }), {}, epoch);
  });
}

async function audit(name: string) {
  const store = await SqliteStore.open({ path: site.storePath(name) });
  const [found] = await store.audit(undefined);
  await store.close();
  return found;
}

describe('a collector with calls open', () => {
  it('answers uploads when it is told to stop, ends watches and handshakes, and has all that it acknowledged', async () => {
    const collector = await site.start('stopping');
    const { port } = collector.address;
    const client = new TestClient(port, site.device);
    const epoch = randomBytes(16);
    const { fencingToken } = await client.register(epoch);
    const header = { epoch, fencingToken };
    expect((await client.upload(header, items(epoch, 1, 10))).durable).toEqual([{ first: 1, last: 10 }]);
    const open = [0, 1, 2].map((at) => {
      const upload = client.open(header);
      upload.send(items(epoch, 11 + at * 10, 20 + at * 10));
      return upload;
    });
    const silent = client.open(header);
    const watch = client.watch(0);
    const ended = new Promise<number>((resolve) => watch.once('status', ({ code }) => resolve(code)));
    watch.resume();
    const half = connect(port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => half.once('close', () => resolve()));
    half.on('error', () => {});
    const { host, port: healthPort } = collector.healthAddress;
    await vi.waitFor(async () => {
      const metrics = await (await fetch(`http://${host}:${healthPort}/metrics`)).text();
      expect(metrics).toContain('tributary_collector_items_stored_total 40');
      expect(metrics).toContain('tributary_collector_alert_watches_open 1');
      expect(metrics).toContain('tributary_collector_connections_open 2');
    });
    const startMs = performance.now();
    await collector.stop();
    expect(performance.now() - startMs).toBeLessThan(25_000);
    for (const [at, { answer }] of open.entries()) {
      const { durable, later } = await answer;
      expect(durable).toEqual([{ first: 11 + at * 10, last: 20 + at * 10 }]);
      expect(later[0]).toMatchObject({ reason: DeferralReason.SHUTDOWN });
      expect(later[0]!.delayMs).toBeGreaterThan(0);
    }
    // Nothing was sent in it: it has not begun yet, or is told to come later.
    await silent.answer.catch((error: { code: number }) => expect(error.code).toBe(status.UNAVAILABLE));
    expect(await ended).toBe(status.OK);
    await closed;
    client.close();
    expect(await audit('stopping')).toMatchObject({ produced: 120, stored: 120, missing: 0, doubled: 0 });
  });

  it('answers every stream while its connections are ended because of their age', async () => {
    const collector = await site.start('ageing', 'limits: { connectionAge: 1s }\n');
    const client = new TestClient(collector.address.port, site.device);
    const epoch = randomBytes(16);
    const { fencingToken } = await client.register(epoch);
    let sequence = 0;
    const { host, port } = collector.healthAddress;
    const admitted = async () => {
      const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
      return Number(/connections_admitted_total (\d+)/.exec(metrics)?.[1]);
    };
    let unanswered = 0;
    while ((await admitted()) < 4) {
      const first = sequence + 1;
      sequence += 20;
      const upload = client.open({ epoch, fencingToken });
      upload.send(items(epoch, first, first + 9));
      // Longer than it takes to be told that the connection ends.
      await new Promise((resolve) => setTimeout(resolve, 100));
      upload.send(items(epoch, first + 10, sequence));
      upload.end();
      try {
        expect((await upload.answer).durable).toEqual([{ first, last: sequence }]);
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error)) throw error;
        unanswered++;
        sequence = first - 1;
      }
    }
    expect(unanswered).toBe(0);
    client.close();
    await collector.stop();
    const readings = sequence * 3;
    expect(await audit('ageing')).toMatchObject({ produced: readings, stored: readings, missing: 0, doubled: 0 });
  });
});
