import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Scheduler } from '@tributary/core/clock/clock';
import { type Address, formatAddress } from '@tributary/core/config/address';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { peerIdentity } from '@tributary/core/identity/peer-identity';
import { type ServerMaterial, serverTlsOptions } from '@tributary/core/identity/server-tls-options';
import { Admission, type AdmissionLimits } from './admission.js';
import { type HandshakeFailure, handshakeFailure } from './handshake-failure.js';

export interface TlsFrontOptions {
  material: ServerMaterial;
  trustDomain: string;
  limits: AdmissionLimits;
  /** Connections of one device at the most; the oldest gives way, because it is the one that may be dead. */
  connectionsPerDevice: number;
  handshakeTimeoutMs: number;
  scheduler: Scheduler;
  /** A connection whose peer has proved who it is. */
  connected: (socket: TLSSocket) => void;
}

/** Calls that nobody has accepted yet. The kernel holds them; beyond it, callers try again by themselves. */
const BACKLOG = 1024;

/**
 * Where devices knock: TCP, admission, then TLS. A connection that is not let in costs some microseconds and is reset, so
 * that its device backs off; a handshake costs 1.4 ms of processor time.
 */
export class TlsFront {
  readonly admission: Admission<Socket>;
  readonly failures = new Map<HandshakeFailure, number>();
  /** Connections that gave way to a newer one of the same device. */
  replaced = 0;
  readonly #options: TlsFrontOptions;
  readonly #tcp: Server;
  readonly #tls: TlsServer;
  /** Let in, and without a verdict on their handshake; `end` counts it once, whoever says so first. */
  readonly #handshaking = new Map<string, { socket: Socket; end: () => void }>();
  readonly #waiting = new Set<Socket>();
  readonly #byDevice = new Map<string, Set<TLSSocket>>();
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(options: TlsFrontOptions) {
    this.#options = options;
    this.admission = new Admission(options.limits);
    this.#tcp = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.#arrive(socket));
    const { handshakeTimeoutMs } = options;
    this.#tls = createTlsServer({
      ...serverTlsOptions(options.material),
      ALPNProtocols: ['h2'],
      handshakeTimeout: handshakeTimeoutMs,
    });
    this.#tls.on('secureConnection', (socket) => this.#secure(socket));
    this.#tls.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const { authorizationError } = socket;
      const found = authorizationError as unknown as string | null | undefined;
      this.#count(handshakeFailure(error.code, found ?? undefined));
      // Node leaves a connection open whose handshake timed out.
      socket.destroy();
    });
  }

  /** Open connections whose handshake is done or under way. */
  get connections(): number {
    return this.admission.connections;
  }

  /** New connections get these certificates; open ones keep theirs. */
  update(material: ServerMaterial): void {
    this.#tls.setSecureContext(serverTlsOptions(material));
  }

  /** Listens; answers the port. Rejects with a `TributaryError` when the address cannot be had. */
  listen(address: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#tcp.once('error', (error) => {
        const message = `cannot listen on ${formatAddress(address)}: ${error.message}`;
        reject(new TributaryError('busy', message, { cause: error }));
      });
      this.#tcp.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
        const bound = this.#tcp.address();
        // Running out of descriptors for a moment is reported here; those who could not be accepted come again.
        this.#tcp.on('error', () => {});
        resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port);
      });
    });
  }

  /** Takes nobody new, and ends what waits or shakes hands. Connections that are open stay. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#tcp.close();
    for (const socket of this.#waiting) socket.destroy();
    for (const { socket } of this.#handshaking.values()) socket.destroy();
  }

  #arrive(socket: Socket): void {
    // A peer that resets before anybody listens would end the process.
    socket.on('error', () => {});
    const { scheduler } = this.#options;
    const decision = this.#closed ? 'refuse' : this.admission.arrive(socket, scheduler.nowMs());
    if (decision === 'admit') this.#admit(socket);
    else if (decision === 'refuse') socket.resetAndDestroy();
    else {
      this.#waiting.add(socket);
      socket.once('close', () => {
        this.#waiting.delete(socket);
        this.admission.left(socket);
      });
      this.#scheduleDue();
    }
  }

  #admit(socket: Socket): void {
    this.#waiting.delete(socket);
    // Peers that have reset have no address any more, and so the same key.
    const key = connectionKey(socket);
    let isOver = false;
    const handshake = {
      socket,
      end: () => {
        if (isOver) return;
        isOver = true;
        if (this.#handshaking.get(key) === handshake) this.#handshaking.delete(key);
        this.admission.handshakeEnded();
      },
    };
    this.#handshaking.set(key, handshake);
    socket.once('close', () => {
      handshake.end();
      this.admission.closed();
      this.#due();
    });
    this.#tls.emit('connection', socket);
  }

  #secure(socket: TLSSocket): void {
    this.#handshaking.get(connectionKey(socket))?.end();
    this.#due();
    socket.on('error', () => {});
    const peer = peerIdentity(socket.getPeerCertificate().subjectaltname, this.#options.trustDomain);
    if (peer.ok && peer.identity.kind === 'device') {
      this.#enter(`${peer.identity.tenant ?? ''}/${peer.identity.device}`, socket);
    }
    this.#options.connected(socket);
  }

  #enter(device: string, socket: TLSSocket): void {
    let open = this.#byDevice.get(device);
    if (open === undefined) {
      open = new Set();
      this.#byDevice.set(device, open);
    }
    if (open.size >= this.#options.connectionsPerDevice) {
      const [oldest] = open;
      open.delete(oldest);
      this.replaced++;
      oldest.destroy();
    }
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      if (open.size === 0 && this.#byDevice.get(device) === open) this.#byDevice.delete(device);
    });
  }

  #due(): void {
    if (this.#closed) return;
    const { admit, refuse } = this.admission.due(this.#options.scheduler.nowMs());
    for (const socket of refuse) socket.resetAndDestroy();
    for (const socket of admit) this.#admit(socket);
    this.#scheduleDue();
  }

  #scheduleDue(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const { scheduler } = this.#options;
    const dueInMs = this.#closed ? undefined : this.admission.dueInMs(scheduler.nowMs());
    if (dueInMs === undefined) return;
    this.#cancelTimer = scheduler.setTimer(Math.ceil(dueInMs), () => {
      this.#cancelTimer = undefined;
      this.#due();
    });
  }

  #count(failure: HandshakeFailure): void {
    this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
  }
}

/** The same for a TCP connection and for the TLS connection over it. */
function connectionKey({ localAddress, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`;
}
