import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemScheduler } from '@tributary/core/clock/clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createCa, issueServer } from '../identity/pki.js';
import { HttpPost, type HttpPostOptions } from './http-post.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-post-'));
const body = Buffer.from('{"a":1}');
const closings: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

function postOf(options: Partial<HttpPostOptions> = {}): HttpPost {
  const post = new HttpPost({ scheduler: systemScheduler, timeoutMs: 10_000, connectionsMax: 4, ...options });
  closings.push(() => post.close());
  return post;
}

async function listening(server: Server): Promise<URL> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closings.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`);
}

const served = (listener: RequestListener) => listening(createServer(listener));

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

describe('a request', () => {
  it('carries its headers and body, and tells what was answered', async () => {
    const seen: string[] = [];
    const url = await served(async (request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['x-a']} ${await bodyOf(request)}`);
      response.writeHead(503, { 'retry-after': '7' }).end('later,\n please');
    });
    expect(await postOf().send(url, { 'x-a': 'b' }, body)).toEqual({
      kind: 'answered',
      status: 503,
      retryAfterMs: 7000,
      text: 'later, please',
    });
    expect(seen).toEqual(['POST /hook b {"a":1}']);
  });

  it('does not follow a redirect', async () => {
    const asked: (string | undefined)[] = [];
    const url = await served((request, response) => {
      asked.push(request.url);
      response.writeHead(308, { location: '/elsewhere' }).end();
    });
    expect(await postOf().send(url, {}, body)).toMatchObject({ kind: 'answered', status: 308 });
    expect(asked).toEqual(['/hook']);
  });

  it('uses a connection again, and a new one when that was closed meanwhile', async () => {
    let connections = 0;
    let serve: RequestListener = (request, response) => request.resume().on('end', () => response.end());
    const server = createServer((request, response) => serve(request, response));
    server.on('connection', () => connections++);
    const url = await listening(server);
    const post = postOf();
    expect(await post.send(url, {}, body)).toMatchObject({ status: 200 });
    expect(await post.send(url, {}, body)).toMatchObject({ status: 200 });
    expect(connections).toBe(1);
    serve = (request, response) => {
      if (connections === 1) request.socket.resetAndDestroy();
      else response.end('new');
    };
    expect(await post.send(url, {}, body)).toMatchObject({ status: 200, text: 'new' });
    expect(connections).toBe(2);
  });

  it('ends in time when nobody answers, and when an answer does not end', async () => {
    const url = await served(() => {});
    const post = postOf({ timeoutMs: 100 });
    expect(await post.send(url, {}, body)).toEqual({ kind: 'failed', why: 'no answer within 0.1 s' });
    const endless = await served((_, response) => void response.writeHead(200).write('begun'));
    expect(await post.send(endless, {}, body)).toEqual({
      kind: 'answered',
      status: 200,
      retryAfterMs: undefined,
      text: 'begun',
    });
  });

  it('reads no more of an answer than a person would', async () => {
    let sent = 0;
    let cut: () => void = () => {};
    const wasCut = new Promise<void>((resolve) => {
      cut = resolve;
    });
    const pour = (response: ServerResponse) => {
      const chunk = Buffer.alloc(64 * 1024, 'x');
      const more = () => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
      };
      response.on('drain', more).on('close', cut);
      more();
    };
    const url = await served((_, response) => pour(response.writeHead(200)));
    const outcome = await postOf().send(url, {}, body);
    expect(outcome).toMatchObject({ kind: 'answered', status: 200, text: 'x'.repeat(2048) });
    await wasCut;
    // What the kernels of both ends hold, and no gigabytes.
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  it('says in words why it failed', async () => {
    const post = postOf();
    const gone = await served(() => {});
    const { port } = gone;
    await closings.pop()?.();
    expect(await post.send(gone, {}, body)).toEqual({
      kind: 'failed',
      why: `127.0.0.1:${port}: the connection was refused, nobody listens there`,
    });
    expect(await post.send(new URL('http://name.invalid/'), {}, body)).toMatchObject({
      kind: 'failed',
      why: expect.stringMatching(/the host name (is not known|could not be looked up for the moment)/),
    });
    const tcp = createTcpServer(
      (socket: Socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .end('SSH-2.0-x\r\n'),
    );
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    closings.push(() => new Promise((resolve) => tcp.close(resolve)));
    const foreign = `127.0.0.1:${(tcp.address() as AddressInfo).port}`;
    expect(await post.send(new URL(`http://${foreign}/`), {}, body)).toEqual({
      kind: 'failed',
      why: 'the answer is not HTTP',
    });
    expect(await post.send(new URL(`https://${foreign}/`), {}, body)).toEqual({
      kind: 'failed',
      why: 'the TLS handshake failed: does the receiver speak TLS 1.2 or later on this port?',
    });
  });

  it('ends when the other side answers with something else than was asked for', async () => {
    const tcp = createTcpServer((socket: Socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.write('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'));
    });
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    closings.push(() => new Promise((resolve) => tcp.close(resolve)));
    const url = new URL(`http://127.0.0.1:${(tcp.address() as AddressInfo).port}/`);
    expect(await postOf().send(url, {}, body)).toMatchObject({ kind: 'failed' });
  });

  it('fails at once when the sender is closed', async () => {
    let arrived: () => void = () => {};
    const waiting = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const url = await served(() => arrived());
    const post = postOf();
    const sending = post.send(url, {}, body);
    await waiting;
    post.close();
    expect(await sending).toEqual({ kind: 'failed', why: 'the collector stops' });
  });
});

describe('a request over TLS', () => {
  const pki = { dir: join(root, 'pki'), days: 30, nowMs: Date.now() };
  let ca: string;
  let cert: string;
  let key: string;
  beforeAll(async () => {
    ca = (await createCa({ ...pki, trustDomain: 'example.org' })).cert;
    ({ cert, key } = await issueServer({ ...pki, hosts: ['127.0.0.1'] }));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  async function tlsUrl(host: string): Promise<URL> {
    const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => {
      response.end('seen');
    });
    const url = await listening(server as unknown as Server);
    return new URL(`https://${host}:${url.port}/`);
  }

  it('is answered where the certificate is of the configured authority and name', async () => {
    const post = postOf({ tls: { ca: readFileSync(ca) } });
    expect(await post.send(await tlsUrl('127.0.0.1'), {}, body)).toMatchObject({ status: 200, text: 'seen' });
  });

  it('is refused where it is of another authority, or of another name', async () => {
    expect(await postOf().send(await tlsUrl('127.0.0.1'), {}, body)).toEqual({
      kind: 'failed',
      why: "the other side's certificate was issued by another CA than the configured one",
    });
    const post = postOf({ tls: { ca: readFileSync(ca) } });
    expect(await post.send(await tlsUrl('localhost'), {}, body)).toEqual({
      kind: 'failed',
      why: "the other side's certificate does not carry the name or address that was called",
    });
  });
});
