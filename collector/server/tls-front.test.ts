import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { systemScheduler } from '@tributary/core/clock/clock';
import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createCa, issueDevice, issueServer } from '../identity/pki.js';
import { TlsFront, type TlsFrontOptions } from './tls-front.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-front-'));
const dir = join(root, 'pki');
const nowMs = Date.now();
let collector: TlsMaterial;
let device: TlsMaterial;
let expired: TlsMaterial;
let front: TlsFront;
const sockets: Socket[] = [];

beforeAll(async () => {
  await createCa({ dir, trustDomain: 'example.org', days: 365, nowMs });
  collector = loadTlsFiles(await issueServer({ dir, hosts: ['localhost'], days: 1, nowMs }));
  device = loadTlsFiles(await issueDevice({ dir, device: 'pump', days: 1, nowMs }));
  expired = loadTlsFiles(await issueDevice({ dir, device: 'old', days: 1, nowMs: nowMs - 3 * 86_400_000 }));
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  front.close();
});

afterAll(() => rmSync(root, { recursive: true }));

async function open(changes: Partial<TlsFrontOptions['limits']> = {}, others: Partial<TlsFrontOptions> = {}) {
  const secure: TLSSocket[] = [];
  front = new TlsFront({
    material: collector,
    trustDomain: 'example.org',
    limits: {
      handshakesPerSecond: 1000,
      handshakesBurst: 1000,
      handshakesMax: 100,
      connectionsMax: 100,
      waitingMax: 100,
      waitMsMax: 5000,
      ...changes,
    },
    connectionsPerDevice: 3,
    handshakeTimeoutMs: 5000,
    scheduler: systemScheduler,
    connected: (socket) => {
      secure.push(socket);
      socket.resume();
    },
    ...others,
  });
  const port = await front.listen({ host: '127.0.0.1', port: 0 });
  return { port, secure };
}

function silent(port: number): { socket: Socket; ended: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    socket.on('close', () => resolve('closed'));
  });
  socket.resume();
  return { socket, ended };
}

function secureTo(port: number, material: TlsMaterial | undefined, options: ConnectionOptions = {}): TLSSocket {
  const { ca } = collector;
  const own = material === undefined ? {} : { cert: material.cert, key: material.key };
  const socket = tlsConnect({
    port,
    host: '127.0.0.1',
    ca,
    ...own,
    servername: 'localhost',
    ALPNProtocols: ['h2'],
    ...options,
  });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.resume();
  return socket;
}

describe('the front', () => {
  it('ends handshakes that never come, and lets others in meanwhile', async () => {
    const { port, secure } = await open({ handshakesMax: 2 }, { handshakeTimeoutMs: 300 });
    const half = [silent(port), silent(port), silent(port)];
    await vi.waitFor(() => expect(front.admission.waiting).toBe(1));
    secureTo(port, device);
    await Promise.all(half.map(({ ended }) => ended));
    await vi.waitFor(() => expect(secure).toHaveLength(1));
    expect(front.failures.get('timeout')).toBe(3);
    await vi.waitFor(() => expect(front.admission.handshakes).toBe(0));
    await vi.waitFor(() => expect(front.connections).toBe(1));
  });

  it('counts no handshake for peers that have reset while they waited', async () => {
    const { port, secure } = await open({ handshakesMax: 4 });
    const half = Array.from({ length: 4 }, () => silent(port));
    await vi.waitFor(() => expect(front.admission.handshakes).toBe(4));
    const gone = Array.from({ length: 6 }, () => silent(port));
    await vi.waitFor(() => expect(front.admission.waiting).toBe(6));
    for (const { socket } of gone) socket.resetAndDestroy();
    await Promise.all(gone.map(({ ended }) => ended));
    for (const { socket } of half) socket.destroy();
    await vi.waitFor(() => expect(front.connections).toBe(0));
    expect(front.admission.handshakes).toBe(0);
    secureTo(port, device);
    await vi.waitFor(() => expect(secure).toHaveLength(1));
  });

  it('resets whom it does not let in, before any TLS', async () => {
    const { port } = await open({ connectionsMax: 1 });
    secureTo(port, device);
    await vi.waitFor(() => expect(front.connections).toBe(1));
    expect(await silent(port).ended).toBe('ECONNRESET');
    expect(front.admission.refused).toEqual(new Map([['connections', 1]]));
  });

  it('lets those who wait in at its rate, in order, with what they have sent meanwhile', async () => {
    const { port, secure } = await open({ handshakesPerSecond: 20, handshakesBurst: 1 });
    const startMs = performance.now();
    for (let at = 0; at < 5; at++) secureTo(port, device);
    await vi.waitFor(() => expect(secure.length).toBe(5), { timeout: 5000 });
    expect(performance.now() - startMs).toBeGreaterThan(190);
    expect(front.admission.admitted).toBe(5);
  });

  it('counts failures by what was wrong', async () => {
    const { port } = await open();
    secureTo(port, undefined);
    secureTo(port, expired);
    secureTo(port, device, { maxVersion: 'TLSv1.2' });
    silent(port).socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    silent(port).socket.end();
    // Node's client leaves without a word when it does not trust us.
    secureTo(port, device, { ca: [] });
    await vi.waitFor(() => expect([...front.failures.values()].reduce((sum, count) => sum + count, 0)).toBe(6));
    expect(Object.fromEntries(front.failures)).toEqual({
      'certificate-missing': 1,
      'certificate-expired': 1,
      version: 1,
      'not-tls': 1,
      'closed-early': 2,
    });
    await vi.waitFor(() => expect(front.connections).toBe(0));
  });

  it('closes the oldest connection of a device that opens too many', async () => {
    const { port, secure } = await open();
    const made: TLSSocket[] = [];
    for (let at = 0; at < 4; at++) {
      made.push(secureTo(port, device));
      await vi.waitFor(() => expect(secure).toHaveLength(at + 1));
    }
    await vi.waitFor(() => expect(made[0]!.destroyed).toBe(true));
    expect(made.slice(1).map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    expect(front.replaced).toBe(1);
    await vi.waitFor(() => expect(front.connections).toBe(3));
  });
});
