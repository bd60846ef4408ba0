import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { status } from '@grpc/grpc-js';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { Alert, type WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import { RegisterRequest, type RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { UploadHeader, type UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GrpcLink } from './grpc-link.js';
import { eventually, TestCollector } from './test-collector.js';
import { TestPki } from './test-pki.js';
import type { CallResult } from './uplink-link.js';

let pki: TestPki;
let other: TestPki;
let collector: TestCollector;
const ends: (() => void)[] = [];

beforeAll(async () => {
  pki = await TestPki.create();
  other = await TestPki.create();
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A link, and what it has told. */
async function open(port: number, authority = pki) {
  const { cert, key } = await authority.issue('spiffe://example.org/device/pump-3');
  const identity = { kind: 'device', trustDomain: 'example.org', tenant: undefined, device: 'pump-3' } as const;
  const material = { ca: Buffer.from(authority.ca), cert: Buffer.from(cert), key: Buffer.from(key), identity };
  const told = { connected: 0, disconnected: 0, failures: [] as GrpcOutcome[] };
  const link = new GrpcLink(
    {
      address: `127.0.0.1:${port}`,
      serverName: undefined,
      credentials: clientCredentials(material),
      userAgent: 'test',
    },
    {
      connected: () => {
        told.connected++;
      },
      connectFailed: (failure) => told.failures.push(failure),
      disconnected: () => {
        told.disconnected++;
      },
    },
  );
  ends.push(() => link.close());
  return { link, told };
}

async function start(): Promise<void> {
  collector = new TestCollector(pki);
  await collector.start();
  ends.push(() => collector.kill());
}

const header = UploadHeader.decode(new Uint8Array(0));
const item = (sequence: number, bytes: number) => ({
  sequence,
  kind: 1,
  checksum: sequence,
  readings: 1,
  readingsBefore: 0,
  body: new Uint8Array(bytes),
});

describe('a link over gRPC and mutual TLS', () => {
  it('carries registration, uploads and alerts', async () => {
    await start();
    const { link, told } = await open(collector.port);
    await eventually('it connects', () => told.connected === 1);
    const registered = await new Promise<CallResult<RegisterResponse>>((resolve) => {
      link.register({ ...RegisterRequest.decode(new Uint8Array(0)), agentVersion: '9' }, resolve);
    });
    expect(registered).toMatchObject({ ok: true, response: { fencingToken: 1 } });
    expect(collector.registrations[0].agentVersion).toBe('9');

    let writable = 0;
    const answer = await new Promise<UploadResponse>((resolve, reject) => {
      const call = link.upload({ writable: () => writable++, answered: resolve, failed: (f) => reject(f) });
      call.write(header, [item(1, 100), item(2, 60_000)]);
      call.write(undefined, [item(3, 900_000)]);
      call.finish();
    });
    expect(answer.durable.map(({ first }) => first)).toEqual([1, 2, 3]);
    expect(collector.stored.size).toBe(3);
    expect(writable).toBe(2);

    const messages: WatchAlertsResponse[] = [];
    link.watchAlerts(0, { message: (message) => messages.push(message), ended: () => {} });
    await eventually('somebody watches', () => {
      collector.alert({ ...Alert.decode(new Uint8Array(0)), number: 1 });
      return messages.length > 0;
    });
    await new Promise((resolve) => link.acknowledgeAlerts(1, resolve));
    expect(collector.acknowledgedAlerts).toEqual([1]);
  });

  it('says that nobody listens', async () => {
    const { told } = await open(1);
    await eventually('it fails', () => told.failures.length === 1);
    expect(told.failures[0]).toMatchObject({ kind: 'unavailable', tls: undefined, code: 'network' });
    expect(told.connected).toBe(0);
  });

  it('says whose certificate is wrong', async () => {
    await start();
    const { told } = await open(collector.port, other);
    await eventually('it fails', () => told.failures.length === 1);
    expect(told.failures[0]).toMatchObject({ kind: 'unavailable', tls: { kind: 'unknown-ca', by: 'local' } });
  });

  it('says nothing while a server accepts and is silent, and can be closed', async () => {
    const sockets: Socket[] = [];
    const { cert, key } = await pki.issue('spiffe://example.org/collector/silent');
    const silent = createTlsServer({ ca: pki.ca, cert, key, ALPNProtocols: ['h2'] }, (socket) => sockets.push(socket));
    const deaf = createServer((socket) => sockets.push(socket));
    for (const server of [silent, deaf]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const bound = server.address();
      const { link, told } = await open(typeof bound === 'object' && bound !== null ? bound.port : 0);
      await eventually('it is accepted', () => sockets.length > 0);
      expect(told).toEqual({ connected: 0, disconnected: 0, failures: [] });
      const [socket] = sockets.splice(0);
      const gone = new Promise((resolve) => socket.once('close', resolve));
      link.close();
      socket.destroy();
      await gone;
      server.close();
      expect(told.failures).toEqual([]);
    }
  });

  it('says that the connection has ended, and fails what was under way', async () => {
    await start();
    collector.holdAnswers = true;
    const { link, told } = await open(collector.port);
    await eventually('it connects', () => told.connected === 1);
    const failed = new Promise<GrpcOutcome>((resolve, reject) => {
      const call = link.upload({ writable: () => {}, answered: reject, failed: resolve });
      call.write(header, [item(1, 10)]);
      call.finish();
    });
    const ended = new Promise<GrpcOutcome | undefined>((resolve) => {
      link.watchAlerts(0, { message: () => {}, ended: resolve });
    });
    await new Promise((resolve) => link.acknowledgeAlerts(0, resolve));
    collector.kill();
    expect(['unavailable', 'cancelled', 'internal']).toContain((await failed).kind);
    await ended;
    await eventually('the link is told', () => told.disconnected === 1);
  });

  it('tells a conflict from other failures', async () => {
    await start();
    const { link } = await open(collector.port);
    const register = () =>
      new Promise<CallResult<RegisterResponse>>((resolve) => {
        link.register(RegisterRequest.decode(new Uint8Array(0)), resolve);
      });
    collector.fail.register = { code: status.FAILED_PRECONDITION, details: 'a copy' };
    expect(await register()).toMatchObject({ ok: false, conflict: true, failure: { kind: 'invalid' } });
    collector.fail.register = { code: status.PERMISSION_DENIED, details: 'denied' };
    expect(await register()).toMatchObject({ ok: false, conflict: false, failure: { kind: 'unauthenticated' } });
  });

  it('takes an early error while it writes', async () => {
    await start();
    collector.fail.upload = { code: status.RESOURCE_EXHAUSTED, details: 'enough' };
    const { link } = await open(collector.port);
    const failure = await new Promise<GrpcOutcome>((resolve, reject) => {
      const call = link.upload({
        writable: () => call.write(undefined, [item(2, 50_000)]),
        answered: reject,
        failed: resolve,
      });
      call.write(header, [item(1, 50_000)]);
    });
    expect(failure.kind).toBe('resource-exhausted');
  });

  it('tells nothing after it was cancelled or closed', async () => {
    await start();
    const { link, told } = await open(collector.port);
    await eventually('it connects', () => told.connected === 1);
    let answers = 0;
    const cancel = link.register(RegisterRequest.decode(new Uint8Array(0)), () => answers++);
    cancel();
    const upload = link.upload({ writable: () => {}, answered: () => answers++, failed: () => answers++ });
    upload.write(header, []);
    upload.cancel();
    await new Promise((resolve) => link.acknowledgeAlerts(0, resolve));
    link.close();
    link.close();
    collector.kill();
    await new Promise((resolve) => setImmediate(resolve));
    expect(answers).toBe(0);
    expect(told.disconnected).toBe(0);
  });
});
