import {
  type ConnectionInjector,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Address } from '@tributary/core/config/address';
import { HealthImplementation } from 'grpc-health-check';
import { widenConnections } from './connection-window.js';
import { reflectionService } from './reflection.js';
import { TlsFront, type TlsFrontOptions } from './tls-front.js';

/** A service and what answers it. */
export interface HostedService {
  definition: ServiceDefinition<UntypedServiceImplementation>;
  implementation: UntypedServiceImplementation;
}

export interface GrpcHostOptions {
  front: Omit<TlsFrontOptions, 'connected'>;
  services: readonly HostedService[];
  messageBytesMax: number;
  streamsPerConnectionMax: number;
  /** After this a connection is asked to end, so that a fleet spreads over new replicas; undefined for never. */
  connectionAgeMsMax: number | undefined;
}

/** A dead peer is found after a minute and a third of one, without traffic; TCP alone takes hours. */
const KEEPALIVE_TIME_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** An upload lasts at most 10 s and its commit as long again; what is open after this is not going to end by itself. */
const CONNECTION_AGE_GRACE_MS = 60_000;

/** The gRPC server: our services, and health and reflection from their standard packages, behind our own front. */
export class GrpcHost {
  readonly front: TlsFront;
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #serviceNames: string[];

  constructor(options: GrpcHostOptions) {
    const { services, messageBytesMax, streamsPerConnectionMax, connectionAgeMsMax } = options;
    this.#server = new Server({
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_concurrent_streams': streamsPerConnectionMax,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // It keeps a record of each call for nobody.
      'grpc.enable_channelz': 0,
      ...(connectionAgeMsMax === undefined
        ? {}
        : {
            'grpc.max_connection_age_ms': connectionAgeMsMax,
            'grpc.max_connection_age_grace_ms': CONNECTION_AGE_GRACE_MS,
          }),
    });
    widenConnections(this.#server);
    for (const { definition, implementation } of services) this.#server.addService(definition, implementation);
    this.#serviceNames = ['', ...new Set(services.map(({ definition }) => serviceName(definition)))];
    this.#health = new HealthImplementation();
    this.#health.addToServer(this.#server);
    this.#setHealth('NOT_SERVING');
    reflectionService().addToServer(this.#server);
    // TLS is done in front of it; grpc-js takes the peer's certificate from the socket all the same.
    const injector: ConnectionInjector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.front = new TlsFront({ ...options.front, connected: (socket) => injector.injectConnection(socket) });
  }

  /** Binds and serves; answers the port. Rejects with a `TributaryError` when the address cannot be had. */
  async listen(address: Address): Promise<number> {
    const port = await this.front.listen(address);
    this.#setHealth('SERVING');
    return port;
  }

  /** Tells balancers and devices to look elsewhere; calls go on. */
  announceEnd(): void {
    this.#setHealth('NOT_SERVING');
  }

  /** Lets open calls end, and cuts those that have not ended after `graceMs`. */
  close(graceMs: number): Promise<void> {
    this.front.close();
    return new Promise((resolve) => {
      // tryShutdown waits for ever on an open stream.
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #setHealth(status: 'SERVING' | 'NOT_SERVING'): void {
    for (const name of this.#serviceNames) this.#health.setStatus(name, status);
  }
}

/** `tributary.v1.TelemetryService` from `/tributary.v1.TelemetryService/Upload`. */
function serviceName(definition: ServiceDefinition<UntypedServiceImplementation>): string {
  return Object.values(definition)[0].path.split('/')[1];
}
