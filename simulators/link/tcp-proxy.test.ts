import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TcpProxy } from './tcp-proxy.js';

let echo: Server;
let proxy: TcpProxy;
const clients: Socket[] = [];

async function client(): Promise<Socket> {
  const socket = new Socket();
  clients.push(socket);
  socket.on('error', () => {});
  socket.connect(proxy.port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

async function receive(socket: Socket, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  while (length < count) {
    const [part] = (await once(socket, 'data')) as [Buffer];
    parts.push(part);
    length += part.length;
  }
  return Buffer.concat(parts);
}

beforeEach(async () => {
  echo = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await TcpProxy.listen((echo.address() as AddressInfo).port);
});

afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy();
  await proxy.close();
  echo.close();
});

describe('the TCP proxy', () => {
  it('passes everything on, in order, and counts it', async () => {
    const socket = await client();
    const bytes = Buffer.alloc(3_000_000, 'abcdefg');
    socket.write(bytes);
    expect((await receive(socket, bytes.length)).equals(bytes)).toBe(true);
    expect(proxy.stats()).toEqual({
      bytesUp: bytes.length,
      bytesDown: bytes.length,
      connections: 1,
      open: 1,
      resets: 0,
    });
  });

  it('delays each direction', async () => {
    const socket = await client();
    proxy.set({ delayMs: 60 });
    const before = performance.now();
    socket.write('x');
    await receive(socket, 1);
    expect(performance.now() - before).toBeGreaterThanOrEqual(119);
  });

  it('narrows the link', async () => {
    const socket = await client();
    proxy.set({ bitsPerSecond: 800_000 });
    const before = performance.now();
    socket.write(Buffer.alloc(10_000));
    await receive(socket, 10_000);
    expect(performance.now() - before).toBeGreaterThanOrEqual(99);
  });

  it('holds everything while it is stalled, and loses nothing of it', async () => {
    const socket = await client();
    proxy.set({ stalled: true });
    socket.write('hello');
    await expect.poll(() => proxy.stats().bytesUp).toBe(5);
    expect(proxy.stats().bytesDown).toBe(0);
    proxy.heal();
    expect((await receive(socket, 5)).toString()).toBe('hello');
  });

  it('resets connections when told, after a number of bytes, or before they begin', async () => {
    const first = await client();
    proxy.cut();
    await closed(first);
    proxy.set({ resetAfterBytesUp: 100 });
    const second = await client();
    second.write(Buffer.alloc(100));
    await closed(second);
    proxy.set({ refuse: true });
    const third = new Socket();
    clients.push(third);
    third.on('error', () => {});
    third.connect(proxy.port, '127.0.0.1');
    await closed(third);
    expect(proxy.stats().connections).toBe(2);
  });

  it('loses answers while the work is done', async () => {
    const socket = await client();
    proxy.set({ dropDown: true });
    socket.write('lost');
    await expect.poll(() => proxy.stats().bytesDown).toBe(4);
    proxy.heal();
    socket.write('kept');
    expect((await receive(socket, 4)).toString()).toBe('kept');
  });

  it('delivers what a client has sent before it was gone, when told, beside newer connections', async () => {
    const received: string[] = [];
    echo.on('connection', (socket: Socket) => socket.on('data', (bytes) => received.push(String(bytes))));
    const first = await client();
    proxy.set({ stalled: true });
    first.write('old');
    await expect.poll(() => proxy.stats().bytesUp).toBe(3);
    proxy.strand();
    await closed(first);
    proxy.heal();
    const second = await client();
    second.write('new');
    await receive(second, 3);
    expect(received).toEqual(['new']);
    proxy.deliverStranded();
    await expect.poll(() => received).toEqual(['new', 'old']);
    await expect.poll(() => proxy.stats().open).toBe(1);
  });
});
