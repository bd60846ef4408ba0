import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import type { WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import type { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';

/** What a link tells its owner. Nothing is told from inside a call to the link, and nothing after `close`. */
export interface LinkEvents {
  connected(): void;
  /** The first attempt has failed. The link is of no use any more. */
  connectFailed(failure: GrpcOutcome): void;
  /** It was connected and is not any more. Calls may still be answered. */
  disconnected(): void;
}

export interface UploadEvents {
  /** The write has been taken by the connection. */
  writable(): void;
  answered(response: UploadResponse): void;
  failed(failure: GrpcOutcome): void;
}

/** A client stream. After `answered`, `failed` or `cancel` nothing is told any more. */
export interface UploadCall {
  write(header: UploadHeader | undefined, items: readonly Item[]): void;
  finish(): void;
  cancel(): void;
}

export type CallResult<T> = { ok: true; response: T } | { ok: false; failure: GrpcOutcome; conflict: boolean };

export interface WatchEvents {
  message(message: WatchAlertsResponse): void;
  /** The stream is over; undefined when the server ended it in order. */
  ended(failure: GrpcOutcome | undefined): void;
}

/** A server stream that can be held back. */
export interface WatchCall {
  pause(): void;
  resume(): void;
  cancel(): void;
}

/** One connection to a collector: the narrow place between the uplink and gRPC, so that a simulation can stand in. */
export interface UplinkLink {
  /** Answers a function that cancels the call; after that `done` is not called. */
  register(request: RegisterRequest, done: (result: CallResult<RegisterResponse>) => void): () => void;
  upload(events: UploadEvents): UploadCall;
  watchAlerts(cursor: number, events: WatchEvents): WatchCall;
  acknowledgeAlerts(cursor: number, done: (result: CallResult<undefined>) => void): () => void;
  close(): void;
}

/** Starts connecting at once. */
export type LinkFactory = (events: LinkEvents) => UplinkLink;
