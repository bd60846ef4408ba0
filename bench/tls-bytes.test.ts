import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { Rig } from '@tributary/simulators/rig/rig';
import { describe, expect, it } from 'vitest';
import { TlsBytes } from './tls-bytes.js';

/** A record's head and body: `type`, and as many zeros as `length` says. */
function record(type: number, length: number): Uint8Array {
  const bytes = new Uint8Array(5 + length);
  bytes.set([type, 3, 3, length >> 8, length & 0xff]);
  return bytes;
}

const HELLO = record(22, 300);
const CIPHER_CHANGE = record(20, 1);

describe('TlsBytes', () => {
  it.each([53, 69])('ends the handshake with the Finished of %i bytes, however the stream is cut', (finished) => {
    const flight = [HELLO, CIPHER_CHANGE, record(23, 700), record(23, 96), record(23, finished)];
    const data = [record(23, 1000), record(23, finished)];
    const all = Buffer.concat([...flight, ...data]);
    for (const piece of [1, 3, 7, 100, all.length]) {
      const counted = new TlsBytes();
      for (let at = 0; at < all.length; at += piece) counted.take(all.subarray(at, at + piece));
      expect(counted.handshake).toBe(Buffer.concat(flight).length);
      expect(counted.application).toBe(Buffer.concat(data).length);
    }
  });

  it('refuses what is no TLS 1.3', () => {
    expect(() => new TlsBytes().take(new TextEncoder().encode('PRI * HTTP/2.0'))).toThrow('no TLS 1.3');
  });

  it('agrees with a real client with a certificate: a byte more to say is a byte, a tag and a head', async () => {
    const rig = await Rig.create('tls');
    try {
      const device = await rig.device('one');
      const operator = loadTlsFiles(rig.operatorFiles);
      const server = createTlsServer({ ca: operator.ca, cert: operator.cert, key: operator.key, requestCert: true });
      const upstream = createServer((socket) => server.emit('connection', socket));
      await once(upstream.listen(0, '127.0.0.1'), 'listening');
      const counted = new TlsBytes();
      const relay = createServer((client) => {
        const target = connect((upstream.address() as { port: number }).port, '127.0.0.1');
        client.on('data', (bytes) => counted.take(bytes));
        client.pipe(target).pipe(client);
        for (const one of [client, target] as Socket[]) one.on('error', () => one.destroy());
      });
      await once(relay.listen(0, '127.0.0.1'), 'listening');
      const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
      const { ca, cert, key } = device;
      const client = connectTls({
        port: (relay.address() as { port: number }).port,
        host: '127.0.0.1',
        ca,
        cert,
        key,
        // The operator's certificate is no server's; this is about bytes.
        rejectUnauthorized: false,
      });
      const [peer] = await accepted;
      client.write(Buffer.alloc(100));
      await once(peer, 'data');
      expect(client.getProtocol()).toBe('TLSv1.3');
      // Head, data, inner type and tag: RFC 8446, section 5.2.
      expect(counted.application).toBe(5 + 100 + 1 + 16);
      client.destroy();
      peer.destroy();
      for (const one of [relay, upstream]) one.close();
    } finally {
      await rig.close();
    }
  });
});
