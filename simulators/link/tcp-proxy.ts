import { createServer, type Server, Socket } from 'node:net';

/** What is wrong with the link now. Changing it takes effect on open connections too. */
export interface LinkFaults {
  /** One way, each direction. */
  delayMs: number;
  /** Each direction of each connection; 0 is as fast as it goes. */
  bitsPerSecond: number;
  /** Connections are accepted and nothing is forwarded: a half-open link. What was sent meanwhile travels afterwards. */
  stalled: boolean;
  /** Bytes toward the target, or back from it, vanish: an answer is lost although the work was done. */
  dropUp: boolean;
  dropDown: boolean;
  /** New connections are reset at once. */
  refuse: boolean;
  /** Each connection is reset when this many bytes have gone toward the target; 0 is never. */
  resetAfterBytesUp: number;
  /** The same for what came back from the target. */
  resetAfterBytesDown: number;
}

const SOUND: LinkFaults = {
  delayMs: 0,
  bitsPerSecond: 0,
  stalled: false,
  dropUp: false,
  dropDown: false,
  refuse: false,
  resetAfterBytesUp: 0,
  resetAfterBytesDown: 0,
};

export interface LinkStats {
  /** Bytes taken from clients and from the target since the start, TCP payload. */
  bytesUp: number;
  bytesDown: number;
  connections: number;
  open: number;
  /** Connections that were reset after the bytes that they were given. */
  resets: number;
}

/** Sees what a connection sends toward the target, in the pieces in which it arrives; connections are numbered from 1. */
export type BytesTap = (connection: number, bytes: Uint8Array) => void;

/** What one direction of a connection may hold on its way: enough for 100 Mbit/s over 80 ms. */
const IN_FLIGHT_BYTES_MAX = 1 << 20;

interface Chunk {
  bytes: Buffer;
  dueMs: number;
}

/** One direction of a connection. Order is kept; the sender is paused while too much is under way. */
class Pipe {
  private readonly chunks: Chunk[] = [];
  private inFlightBytes = 0;
  private lineFreeMs = 0;
  private timer: NodeJS.Timeout | undefined;
  private ended = false;
  private draining = false;
  private held = false;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly faults: () => LinkFaults,
    private readonly onBytes: (bytes: Uint8Array) => void,
    private readonly drops: () => boolean,
  ) {
    from.on('data', (bytes: Buffer) => this.take(bytes));
    from.on('end', () => {
      this.ended = true;
      this.forward();
    });
  }

  private take(bytes: Buffer): void {
    this.onBytes(bytes);
    if (this.drops()) return;
    const { delayMs, bitsPerSecond } = this.faults();
    const now = performance.now();
    const sendingMs = bitsPerSecond > 0 ? (bytes.length * 8000) / bitsPerSecond : 0;
    this.lineFreeMs = Math.max(now, this.lineFreeMs) + sendingMs;
    this.chunks.push({ bytes, dueMs: this.lineFreeMs + delayMs });
    this.inFlightBytes += bytes.length;
    if (this.inFlightBytes > IN_FLIGHT_BYTES_MAX) this.from.pause();
    this.forward();
  }

  /** Passes on what is due. */
  forward(): void {
    if (this.draining || this.held || this.faults().stalled) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    while (this.chunks.length > 0) {
      const waitMs = this.chunks[0]!.dueMs - performance.now();
      if (waitMs > 0) {
        this.timer = setTimeout(() => this.forward(), Math.ceil(waitMs));
        return;
      }
      const { bytes } = this.chunks.shift()!;
      this.inFlightBytes -= bytes.length;
      if (this.inFlightBytes <= IN_FLIGHT_BYTES_MAX) this.from.resume();
      if (this.to.writable && !this.to.write(bytes)) {
        this.draining = true;
        this.to.once('drain', () => {
          this.draining = false;
          this.forward();
        });
        return;
      }
    }
    if (this.ended) this.to.end();
  }

  /** Keeps what is under way until `release`, whatever the link does, and ends the other side after it. */
  hold(): void {
    this.held = true;
    this.ended = true;
  }

  release(): void {
    this.held = false;
    this.forward();
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

interface Connection {
  client: Socket;
  target: Socket;
  up: Pipe;
  down: Pipe;
  /** The client is gone, and what it has sent is still on its way. */
  stranded: boolean;
}

/**
 * A TCP proxy on loopback that can be made to delay, narrow, cut, stall and lose: a bad network between two real
 * processes. It knows nothing of what passes through it.
 */
export class TcpProxy {
  private faults: LinkFaults = { ...SOUND };
  private readonly connections = new Set<Connection>();
  private bytesUp = 0;
  private bytesDown = 0;
  private accepted = 0;
  private resets = 0;

  private constructor(
    private readonly server: Server,
    private targetPort: number,
    private readonly tap: BytesTap | undefined,
  ) {
    server.on('connection', (client) => this.connect(client));
  }

  /** Listens on a free port of 127.0.0.1 (or on the one given) for connections to a port of 127.0.0.1. */
  static async listen(targetPort: number, port = 0, tap?: BytesTap): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    const proxy = new TcpProxy(server, targetPort, tap);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  /** Where new connections go from now on. */
  setTarget(port: number): void {
    this.targetPort = port;
  }

  set(faults: Partial<LinkFaults>): void {
    this.faults = { ...this.faults, ...faults };
    for (const { up, down } of this.connections) {
      up.forward();
      down.forward();
    }
  }

  /** Makes the link sound again. Connections that were cut stay cut. */
  heal(): void {
    this.set(SOUND);
  }

  /** Resets every open connection. */
  cut(): void {
    for (const { client, target } of this.connections) {
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
  }

  /**
   * Resets the clients' ends alone. What they had sent and was not passed on (while the link is stalled, say) is kept until
   * `deliverStranded`: packets that arrive after their sender has long come back another way.
   */
  strand(): void {
    for (const connection of this.connections) {
      connection.stranded = true;
      connection.up.hold();
      connection.client.resetAndDestroy();
    }
  }

  /** Passes on what `strand` has kept, and then ends those connections. */
  deliverStranded(): void {
    for (const { stranded, up } of this.connections) if (stranded) up.release();
  }

  stats(): LinkStats {
    return {
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
      connections: this.accepted,
      open: this.connections.size,
      resets: this.resets,
    };
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.cut();
    await closed;
  }

  private connect(client: Socket): void {
    client.on('error', () => client.destroy());
    if (this.faults.refuse) {
      client.resetAndDestroy();
      return;
    }
    const number = ++this.accepted;
    const target = new Socket();
    target.setNoDelay(true);
    target.on('error', () => target.destroy());
    target.connect(this.targetPort, '127.0.0.1');
    let connectionBytesUp = 0;
    let connectionBytesDown = 0;
    const faults = () => this.faults;
    const resetBeyond = (limit: number, bytes: number) => {
      if (limit === 0 || bytes < limit || client.destroyed) return;
      this.resets++;
      client.resetAndDestroy();
      target.resetAndDestroy();
    };
    const up = new Pipe(
      client,
      target,
      faults,
      (bytes) => {
        this.bytesUp += bytes.length;
        connectionBytesUp += bytes.length;
        this.tap?.(number, bytes);
        resetBeyond(this.faults.resetAfterBytesUp, connectionBytesUp);
      },
      () => this.faults.dropUp,
    );
    const down = new Pipe(
      target,
      client,
      faults,
      (bytes) => {
        this.bytesDown += bytes.length;
        connectionBytesDown += bytes.length;
        resetBeyond(this.faults.resetAfterBytesDown, connectionBytesDown);
      },
      () => this.faults.dropDown,
    );
    const connection: Connection = { client, target, up, down, stranded: false };
    this.connections.add(connection);
    const close = () => {
      if (connection.stranded && !target.destroyed) return;
      this.connections.delete(connection);
      up.stop();
      down.stop();
      client.destroy();
      target.destroy();
    };
    client.once('close', close);
    target.once('close', close);
  }
}
