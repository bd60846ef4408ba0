import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import {
  ChannelCredentials,
  Client,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { systemScheduler } from '@tributary/core/clock/clock';
import { type GrpcOutcome, grpcOutcome } from '@tributary/core/errors/grpc-status';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { peerIdentity } from '@tributary/core/identity/peer-identity';
import type { ServerMaterial } from '@tributary/core/identity/server-tls-options';
import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TlsFront } from '../server/tls-front.js';
import { createCa, issueDevice, issueServer } from './pki.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-mtls-'));
const dir = join(root, 'ours');
const otherDir = join(root, 'other');
const nowMs = Date.now();
const dayMs = 86_400_000;
const hosts = ['localhost', '127.0.0.1'];
let device: TlsMaterial;
let otherDevice: TlsMaterial;
let collector: TlsMaterial;
let front: TlsFront;
const running: { server: Server; front: TlsFront }[] = [];
let port: number;
let ours: TlsFront;

const pass = (bytes: Buffer) => bytes;

/** A server that answers with who it takes the caller for. */
async function serve(serverMaterial: ServerMaterial): Promise<number> {
  const server = new Server();
  server.addService(
    {
      whoAmI: {
        path: '/test/WhoAmI',
        requestStream: false,
        responseStream: false,
        requestSerialize: pass,
        requestDeserialize: pass,
        responseSerialize: pass,
        responseDeserialize: pass,
      },
    },
    {
      whoAmI: (call: ServerUnaryCall<Buffer, Buffer>, answer: (e: null, b: Buffer) => void) => {
        const names = call.getAuthContext()?.sslPeerCertificate?.subjectaltname;
        answer(null, Buffer.from(JSON.stringify(peerIdentity(names, 'example.org'))));
      },
    },
  );
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  front = new TlsFront({
    material: serverMaterial,
    trustDomain: 'example.org',
    limits: {
      handshakesPerSecond: 100,
      handshakesBurst: 100,
      handshakesMax: 100,
      connectionsMax: 100,
      waitingMax: 100,
      waitMsMax: 5000,
    },
    connectionsPerDevice: 100,
    handshakeTimeoutMs: 5000,
    scheduler: systemScheduler,
    connected: (socket) => injector.injectConnection(socket),
  });
  running.push({ server, front });
  return front.listen({ host: '127.0.0.1', port: 0 });
}

async function ask(
  toPort: number,
  channel: ChannelCredentials,
): Promise<{ answer: unknown } | { failed: GrpcOutcome }> {
  const client = new Client(`127.0.0.1:${toPort}`, channel);
  try {
    return await new Promise((resolve) => {
      const done = (error: ServiceError | null, bytes?: Buffer) =>
        resolve(error ? { failed: grpcOutcome(error) } : { answer: JSON.parse(String(bytes)) });
      client.makeUnaryRequest('/test/WhoAmI', pass, pass, Buffer.alloc(0), { deadline: Date.now() + 20_000 }, done);
    });
  } finally {
    client.close();
  }
}

async function tlsFailure(toPort: number, channel: ChannelCredentials): Promise<string> {
  const outcome = await ask(toPort, channel);
  if (!('failed' in outcome) || outcome.failed.kind !== 'unavailable') throw new Error(JSON.stringify(outcome));
  const { tls } = outcome.failed;
  return tls === undefined ? 'none' : `${tls.kind} ${tls.by}`;
}

function raw(options: SecureContextOptions): ChannelCredentials {
  return ChannelCredentials.createFromSecureContext(createSecureContext(options), {
    checkServerIdentity: () => undefined,
  });
}

async function material(made: Promise<{ ca: string; cert: string; key: string }>): Promise<TlsMaterial> {
  return loadTlsFiles(await made);
}

beforeAll(async () => {
  await createCa({ dir, trustDomain: 'example.org', days: 365, nowMs });
  await createCa({ dir: otherDir, trustDomain: 'other.org', days: 365, nowMs });
  device = await material(issueDevice({ dir, device: 'press-1', tenant: 'acme', days: 1, nowMs }));
  otherDevice = await material(issueDevice({ dir: otherDir, device: 'press-1', days: 1, nowMs }));
  collector = await material(issueServer({ dir, hosts, days: 1, nowMs }));
  port = await serve(collector);
  ours = front;
});

afterAll(() => {
  for (const { server, front: one } of running) {
    one.close();
    server.forceShutdown();
  }
  rmSync(root, { recursive: true });
});

describe('a server with mutual TLS', () => {
  it('serves a device of its CA and knows who it is', async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.message);
    process.on('warning', note);
    expect(await ask(port, clientCredentials(device))).toEqual({
      answer: {
        ok: true,
        identity: { kind: 'device', trustDomain: 'example.org', tenant: 'acme', device: 'press-1' },
      },
    });
    process.off('warning', note);
    // Node warns when an address is sent as TLS server name.
    expect(warnings).toEqual([]);
  });

  it('refuses TLS 1.2, also after its certificates were replaced', async () => {
    const { ca, cert, key } = device;
    expect(await tlsFailure(port, raw({ ca, cert, key, maxVersion: 'TLSv1.2' }))).toBe('handshake remote');
    ours.update(await material(issueServer({ dir, name: 'renewed', hosts, days: 1, nowMs })));
    expect(await tlsFailure(port, raw({ ca, cert, key, maxVersion: 'TLSv1.2' }))).toBe('handshake remote');
    expect(await ask(port, clientCredentials(device))).toHaveProperty('answer.ok', true);
  });

  it('refuses a client without a certificate', async () => {
    expect(await tlsFailure(port, raw({ ca: device.ca }))).toBe('certificate-missing remote');
  });

  it('refuses a client of another CA, an expired one and one that is no client', async () => {
    const { ca } = device;
    const { cert, key } = otherDevice;
    expect(await tlsFailure(port, raw({ ca, cert, key }))).toBe('closed-early remote');
    const expired = await material(issueDevice({ dir, device: 'old', days: 1, nowMs: nowMs - 3 * dayMs }));
    expect(await tlsFailure(port, clientCredentials(expired))).toBe('closed-early remote');
    expect(await tlsFailure(port, clientCredentials(collector))).toBe('closed-early remote');
  });

  it('is not made without a CA', async () => {
    await expect(serve({ ...collector, ca: Buffer.alloc(0) })).rejects.toThrow(RangeError);
  });
});

describe('a client with mutual TLS', () => {
  it.each([
    ['of another CA', { dir: otherDir, name: 'foreign', hosts, days: 1, nowMs }, 'unknown-ca local'],
    ['that has expired', { dir, name: 'old', hosts, days: 1, nowMs: nowMs - 3 * dayMs }, 'certificate-expired local'],
    [
      'from the future',
      { dir, name: 'new', hosts, days: 1, nowMs: nowMs + 3 * dayMs },
      'certificate-not-yet-valid local',
    ],
    ['of another host', { dir, name: 'elsewhere', hosts: ['elsewhere'], days: 1, nowMs }, 'wrong-name local'],
  ])('refuses a server certificate %s', async (_, options, failure) => {
    const toPort = await serve(await material(issueServer(options)));
    expect(await tlsFailure(toPort, clientCredentials(device))).toBe(failure);
  });

  it('refuses a device that poses as a server', async () => {
    const toPort = await serve(device);
    expect(await tlsFailure(toPort, clientCredentials(device))).toBe('certificate-refused local');
  });

  it('refuses a collector of another trust domain, even when its CA is trusted', async () => {
    const foreign = await material(issueServer({ dir: otherDir, hosts, days: 1, nowMs }));
    const toPort = await serve({ ...foreign, ca: Buffer.concat([foreign.ca, device.ca]) });
    const trusting = { ...device, ca: Buffer.concat([device.ca, foreign.ca]) };
    expect(await tlsFailure(toPort, clientCredentials(trusting))).toBe('certificate-refused local');
  });

  it('refuses a server that knows TLS 1.2 only, or speaks no TLS', async () => {
    const { ca, cert, key } = collector;
    const old = createTlsServer({ ca, cert, key, maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] });
    const plain = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    for (const server of [old, plain]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port: toPort } = server.address() as { port: number };
      expect(await tlsFailure(toPort, clientCredentials(device))).toMatch(/^handshake/);
      server.close();
    }
  });

  it('tells a closed port from a TLS failure', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port: closedPort } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    expect(await tlsFailure(closedPort, clientCredentials(device))).toBe('none');
  });
});
