import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { systemClock, systemScheduler } from '@tributary/core/clock/clock';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SqliteBuffer } from '../buffer/sqlite-buffer.js';
import { GrpcLink } from './grpc-link.js';
import { eventually, TestCollector } from './test-collector.js';
import { TestPki } from './test-pki.js';
import { Uplink } from './uplink.js';
import { assertUplinkLimits, uplinkLimits } from './uplink-limits.js';

/** A hundredth of what a device waits for, so that the test does not wait; after a failure it stays where it is. */
const limits = {
  connectMs: 400,
  registerMs: 400,
  answerMs: 400,
  streamDurationMs: 50,
  retry: { baseMs: 600_000, capMs: 600_000 },
  droppedJitterMs: 600_000,
};
const keepalive = { timeMs: 300, timeoutMs: 100 };

let pki: TestPki;
let folder: string;
let buffer: SqliteBuffer;
const ends: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  pki = await TestPki.create();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'silent-peer-'));
  buffer = await SqliteBuffer.open({ path: join(folder, 'buffer.db'), quotaBytes: 1_000_000 });
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await buffer.close();
  rmSync(folder, { recursive: true });
});

async function portOf(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The real uplink over the real link, against whoever listens there. */
async function uplinkTo(port: number, watch = false): Promise<Uplink> {
  const { cert, key } = await pki.issue('spiffe://example.org/device/pump-3');
  const identity = { kind: 'device', trustDomain: 'example.org', tenant: undefined, device: 'pump-3' } as const;
  const credentials = () =>
    clientCredentials({ ca: Buffer.from(pki.ca), cert: Buffer.from(cert), key: Buffer.from(key), identity });
  const address = `127.0.0.1:${port}`;
  const uplink = new Uplink(
    {
      random: () => 0.5,
      startId: randomBytes(16),
      agentVersion: 'test',
      attributes: {},
      identity: buffer.identity,
      limits,
    },
    {
      buffer,
      connect: (events) =>
        new GrpcLink(
          { address, serverName: undefined, credentials: credentials(), userAgent: 'test', keepalive },
          events,
        ),
      clock: systemClock,
      scheduler: systemScheduler,
      log: pino({ level: 'silent' }),
      segment: () => 0,
      watermark: () => undefined,
      epochOpened: () => {},
      linked: (link) => {
        if (watch) link.watchAlerts(0, { message: () => {}, ended: () => {} });
      },
      unlinked: () => {},
      clocksCompared: () => {},
    },
  );
  ends.unshift(() => uplink.stop());
  uplink.start();
  return uplink;
}

async function givesUp(uplink: Uplink, why: string): Promise<void> {
  await eventually('it gives up', () => uplink.state.state === 'waiting');
  expect(uplink.state).toMatchObject({ why: expect.stringContaining(why) });
}

describe('a peer that says nothing is noticed', () => {
  it('when it accepts the connection and is silent', async () => {
    const uplink = await uplinkTo(await portOf(createServer()));
    await givesUp(uplink, 'was not ready in time');
  });

  it('when it has done the TLS handshake and sends no SETTINGS', async () => {
    const { cert, key } = await pki.issue('spiffe://example.org/collector/silent');
    let handshakes = 0;
    const server = createTlsServer({ ca: pki.ca, cert, key, ALPNProtocols: ['h2'] }, () => handshakes++);
    const uplink = await uplinkTo(await portOf(server));
    await eventually('TLS is done', () => handshakes === 1);
    await givesUp(uplink, 'was not ready in time');
  });

  it('when it speaks HTTP/2 and does not answer Register', async () => {
    const { cert, key } = await pki.issue('spiffe://example.org/collector/silent');
    let calls = 0;
    const server = createSecureServer({ ca: pki.ca, cert, key });
    server.on('stream', () => calls++);
    const uplink = await uplinkTo(await portOf(server));
    await eventually('it registers', () => uplink.state.state === 'registering' && calls === 1);
    await givesUp(uplink, 'did not answer Register in time');
  });

  it('when it does not answer an upload', async () => {
    const collector = new TestCollector(pki);
    await collector.start();
    ends.push(() => collector.kill());
    collector.holdAnswers = true;
    await buffer.append([{ body: Buffer.alloc(100), readings: 1 }]);
    const uplink = await uplinkTo(collector.port);
    await eventually('it streams', () => uplink.counters.registrations === 1);
    await givesUp(uplink, 'did not answer an upload in time');
    expect(uplink.counters.streamsBroken).toBe(1);
  });

  it('when the way to it swallows everything while only alerts are awaited', async () => {
    const collector = new TestCollector(pki);
    await collector.start();
    ends.push(() => collector.kill());
    let isDead = false;
    const relay = createServer((socket) => {
      const onward = connect(collector.port, '127.0.0.1');
      ends.push(() => void onward.destroy());
      onward.on('error', () => {});
      for (const [from, to] of [
        [socket, onward],
        [onward, socket],
      ]) {
        from.on('data', (bytes: Buffer) => {
          if (!isDead) to.write(bytes);
        });
      }
    });
    const uplink = await uplinkTo(await portOf(relay), true);
    await eventually('it is idle', () => uplink.state.state === 'idle' && uplink.counters.streamsAnswered === 1);
    isDead = true;
    await givesUp(uplink, 'has ended');
  });

  it('within 45 s, whatever it is that is waited for', () => {
    expect(() => assertUplinkLimits(uplinkLimits)).not.toThrow();
    for (const late of [{ connectMs: 46_000 }, { registerMs: 46_000 }, { answerMs: 40_001 }]) {
      expect(() => assertUplinkLimits({ ...uplinkLimits, ...late })).toThrow('silent peer');
    }
  });
});
