import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientUnaryCall,
  type ClientWritableStream,
  connectivityState,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { grpcOutcome } from '@tributary/core/errors/grpc-status';
import { failpoint } from '@tributary/core/failpoint/failpoint';
import { AlertServiceService, type WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import {
  DeviceServiceService,
  type RegisterRequest,
  type RegisterResponse,
} from '@tributary/proto/gen/tributary/v1/device';
import {
  TelemetryServiceService,
  type UploadHeader,
  type UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import type {
  CallResult,
  LinkEvents,
  UplinkLink,
  UploadCall,
  UploadEvents,
  WatchCall,
  WatchEvents,
} from './uplink-link.js';

/** Where a collector is, and how the agent proves who it is. */
export interface GrpcLinkOptions {
  /** `host:port`, IPv6 in brackets. */
  address: string;
  /** The name that the collector's certificate must carry, where it is not the host of `address`. */
  serverName: string | undefined;
  credentials: ChannelCredentials;
  userAgent: string;
  /** When the peer is asked whether it is there, and how long its answer may take, in milliseconds. */
  keepalive?: { timeMs: number; timeoutMs: number };
}

/** A dead peer is found after 40 s, also while only the alert stream is open; the requirement is 45. */
const keepaliveDefault = { timeMs: 30_000, timeoutMs: 10_000 };

const channelOptions: ChannelOptions = {
  'grpc.keepalive_permit_without_calls': 1,
  // An answer or an alert is some kilobytes; nothing that a collector sends may take more memory than this.
  'grpc.max_receive_message_length': 1_048_576,
  'grpc.enable_channelz': 0,
  // What to send again is the uplink's decision: only it knows what is durable.
  'grpc.enable_retries': 0,
  // Closing the channel must close its connection, and a new one must begin with a new handshake.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  // One connection, to any of the collector's addresses.
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ pick_first: { shuffleAddressList: true } }] }),
};

/** Asking why a connection failed is answered at once; this bounds it where it is not. */
const probeMs = 2000;

const same = (bytes: Buffer): Buffer => bytes;

/** The link over grpc-js. One channel, one connection; never used again after it has failed. */
export class GrpcLink implements UplinkLink {
  readonly #client: Client;
  readonly #events: LinkEvents;
  #ready = false;
  #closed = false;

  constructor(options: GrpcLinkOptions, events: LinkEvents) {
    this.#events = events;
    const { serverName, keepalive = keepaliveDefault } = options;
    this.#client = new Client(options.address, options.credentials, {
      ...channelOptions,
      'grpc.keepalive_time_ms': keepalive.timeMs,
      'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
      'grpc.primary_user_agent': options.userAgent,
      ...(serverName === undefined
        ? {}
        : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
    });
    this.#watch(this.#client.getChannel().getConnectivityState(true));
  }

  #watch(seen: connectivityState): void {
    const channel = this.#client.getChannel();
    channel.watchConnectivityState(seen, Number.POSITIVE_INFINITY, () => {
      if (this.#closed) return;
      const now = channel.getConnectivityState(false);
      if (this.#ready && now !== connectivityState.READY) {
        this.#events.disconnected();
        return;
      }
      if (!this.#ready && now === connectivityState.READY) {
        this.#ready = true;
        this.#events.connected();
        if (this.#closed) return;
      } else if (now === connectivityState.TRANSIENT_FAILURE) {
        this.#explain();
        return;
      }
      this.#watch(now);
    });
  }

  /** The channel does not say why it failed, but a call on it fails with the reason. The standard health check harms nobody. */
  #explain(): void {
    const deadline = Date.now() + probeMs;
    const empty = Buffer.alloc(0);
    this.#client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, empty, { deadline }, (error) => {
      if (this.#closed) return;
      this.#events.connectFailed(
        grpcOutcome(error ?? { code: status.UNAVAILABLE, details: 'the first connection attempt failed' }),
      );
    });
  }

  register(request: RegisterRequest, done: (result: CallResult<RegisterResponse>) => void): () => void {
    const { path, requestSerialize, responseDeserialize } = DeviceServiceService.register;
    return this.#unary(
      (answered) => this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, answered),
      done,
    );
  }

  acknowledgeAlerts(cursor: number, done: (result: CallResult<undefined>) => void): () => void {
    const { path, requestSerialize, responseDeserialize } = AlertServiceService.acknowledgeAlerts;
    return this.#unary(
      (answered) => this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { cursor }, answered),
      (result) => done(result.ok ? { ok: true, response: undefined } : result),
    );
  }

  #unary<T>(
    start: (answered: (error: ServiceError | null, response?: T) => void) => ClientUnaryCall,
    done: (result: CallResult<T>) => void,
  ): () => void {
    let over = false;
    const call = start((error, response) => {
      if (over || this.#closed) return;
      over = true;
      if (error === null && response !== undefined) done({ ok: true, response });
      else done(failed(error));
    });
    return () => {
      over = true;
      call.cancel();
    };
  }

  upload(events: UploadEvents): UploadCall {
    const { path, responseDeserialize } = TelemetryServiceService.upload;
    let over = false;
    const isOver = (): boolean => over || this.#closed;
    const call: ClientWritableStream<Buffer> = this.#client.makeClientStreamRequest(
      path,
      same,
      responseDeserialize,
      new Metadata(),
      (error: ServiceError | null, response?: UploadResponse) => {
        if (isOver()) return;
        over = true;
        failpoint('upload-acknowledged');
        if (error === null && response !== undefined) events.answered(response);
        else events.failed(failed(error).failure);
      },
    );
    // A write after the server's early answer fails; the answer itself says what that means.
    call.on('error', () => {});
    return {
      write: (header: UploadHeader | undefined, items: readonly Item[]) => {
        const bytes = encodeUploadMessage(header, items) as Buffer;
        call.write(bytes, () => {
          if (!isOver()) events.writable();
        });
        failpoint('upload-send');
      },
      finish: () => {
        call.end();
        failpoint('upload-rotate');
      },
      cancel: () => {
        over = true;
        call.cancel();
      },
    };
  }

  watchAlerts(cursor: number, events: WatchEvents): WatchCall {
    const { path, requestSerialize, responseDeserialize } = AlertServiceService.watchAlerts;
    let over = false;
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { cursor });
    const end = (error?: ServiceError) => {
      if (over || this.#closed) return;
      over = true;
      events.ended(error === undefined ? undefined : grpcOutcome(error));
    };
    call.on('data', (message: WatchAlertsResponse) => {
      if (!over && !this.#closed) events.message(message);
    });
    call.on('error', (error) => end(error as ServiceError));
    call.on('end', () => end());
    return {
      pause: () => call.pause(),
      resume: () => call.resume(),
      cancel: () => {
        over = true;
        call.cancel();
      },
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.close();
  }
}

function failed(error: ServiceError | null): Extract<CallResult<never>, { ok: false }> {
  const known = error ?? { code: status.INTERNAL, details: 'the call ended without an answer' };
  return { ok: false, failure: grpcOutcome(known), conflict: known.code === status.FAILED_PRECONDITION };
}
