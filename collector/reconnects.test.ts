import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import { queryObjects } from 'node:v8';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CallStream } from './alerts/call-stream.js';
import { TestClient } from './collector-client.fixture.js';
import { batchBody, item } from './ingest/ingest-fixture.js';
import { UploadStream } from './ingest/upload-stream.js';
import { TestSite } from './test-site.fixture.js';

/** Connections of one device, each left with an upload and a watch that never end; the collector breaks the oldest. */
const CONNECTIONS = 100;
/** So many at a time, below the eight that a device may have. */
const AT_A_TIME = 5;
/** The newest connections of a device may still be open, from both ends; what were kept of each would be a hundred more. */
const SPARE = 20;

let site: TestSite;

beforeAll(async () => {
  site = await TestSite.make('reconnects');
});

afterAll(() => site.remove());

/** How many of each are on the heap once its garbage is collected. */
const onHeap = () => new Map([Socket, UploadStream, CallStream].map((kind) => [kind, Number(queryObjects(kind))]));

it('holds nothing of connections, uploads and watches that were broken', async () => {
  const collector = await site.start('collector', 'limits: { handshakesPerSecond: 10000 }');
  const { host, port } = collector.healthAddress;
  const gauge = async (name: string) => {
    // Each scrape on a connection of its own, so that none is on the heap afterwards.
    const answer = await fetch(`http://${host}:${port}/metrics`, { headers: { connection: 'close' } });
    return Number(new RegExp(`^tributary_collector_${name} (\\d+)`, 'm').exec(await answer.text())?.[1]);
  };
  const epoch = randomBytes(16);
  let sequence = 0;

  const connect = async () => {
    const client = new TestClient(collector.address.port, site.device);
    const { fencingToken } = await client.register(epoch);
    const upload = client.open({ epoch, fencingToken });
    sequence++;
    upload.send([item(sequence, batchBody([sequence, 1, 2], { startUs: sequence * 3000 }), {}, epoch)]);
    const watch = client.watch(0);
    watch.on('error', () => {});
    watch.resume();
    upload.answer.catch(() => {});
    return client;
  };
  const rounds = async (connections: number) => {
    for (let made = 0; made < connections; made += AT_A_TIME) {
      const clients = await Promise.all(Array.from({ length: AT_A_TIME }, connect));
      // What is open on them stays open until the collector ends it.
      for (const client of clients) client.close();
    }
  };
  const settled = () =>
    vi.waitFor(
      async () => {
        expect(await gauge('connections_open')).toBeLessThanOrEqual(8);
        expect(await gauge('streams_open')).toBeLessThanOrEqual(8);
        expect(await gauge('alert_watches_open')).toBeLessThanOrEqual(4);
        expect(await gauge('in_flight_bytes')).toBe(0);
      },
      { timeout: 20_000 },
    );

  await rounds(4 * AT_A_TIME);
  await settled();
  const before = onHeap();
  await rounds(CONNECTIONS);
  await settled();
  expect(await gauge('connections_admitted_total')).toBeGreaterThanOrEqual(CONNECTIONS);
  expect(await gauge('devices_registered')).toBe(1);
  const after = onHeap();
  for (const [kind, count] of before) expect(after.get(kind), kind.name).toBeLessThanOrEqual(count + SPARE);
  await collector.stop();
});
