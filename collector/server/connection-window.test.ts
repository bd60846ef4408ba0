import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { widenConnections } from './connection-window.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function windowOf(server: Server): Promise<() => number | undefined> {
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
  ends.push(() => {
    session.destroy();
    server.forceShutdown();
  });
  await once(session, 'remoteSettings');
  return () => session.state.remoteWindowSize;
}

describe('the window of a connection', () => {
  it('is a megabyte once widened', async () => {
    const server = new Server();
    expect(widenConnections(server)).toBe(true);
    const window = await windowOf(server);
    await expect.poll(window).toBe(1_048_576);
  });

  it('is 64 KiB otherwise, so there is a reason to widen it', async () => {
    const window = await windowOf(new Server());
    expect(window()).toBe(65_535);
  });

  it('is left alone where a server is made in another way', () => {
    expect(widenConnections({ createHttp2Server: undefined } as unknown as Server)).toBe(false);
  });
});
