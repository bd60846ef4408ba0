import type { Http2Server } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** Sixteen streams may send at full speed; Node lets the streams of a connection hold a window each in any case. */
const CONNECTION_WINDOW_BYTES = 1_048_576;

/** What grpc-js makes its HTTP/2 servers with. It is not part of its interface, and nothing else leads to a session. */
interface MakesHttp2Servers {
  createHttp2Server?: (this: unknown, ...options: unknown[]) => Http2Server;
}

/**
 * Lets each connection receive {@link CONNECTION_WINDOW_BYTES} in a round trip instead of 64 KiB, which grpc-js leaves it
 * at and has no option for: a device far away could not send more than one stream at a time moves, whatever number it
 * opens. A stream keeps its 64 KiB, so one that is held back holds no more memory than before. To be called before
 * the server has any port or injector. Answers whether it could be done: a later grpc-js may be made differently.
 */
export function widenConnections(server: Server): boolean {
  const inside = server as unknown as MakesHttp2Servers;
  const make = inside.createHttp2Server;
  if (typeof make !== 'function') return false;
  inside.createHttp2Server = function (...options) {
    const http2Server = make.apply(this, options);
    http2Server.on('session', (session) => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    return http2Server;
  };
  return true;
}
