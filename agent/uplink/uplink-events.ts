import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import type { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { RejectionReason, UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferCounts, BufferIdentity } from '../buffer/buffer.js';
import type { DeviceCatalogue } from './catalogue-page.js';

/**
 * What the uplink does now. A link, a call and a stream are numbers that are never used twice, so that an event that
 * comes late is recognised and dropped.
 */
export type UplinkState = ConnectionState | Exclude<SessionState, { state: 'uploading' }> | UploadState;

/** Without a collector. */
export type ConnectionState =
  | { state: 'stopped' }
  /** No connection; the next attempt comes at `untilMs`. */
  | { state: 'waiting'; untilMs: number; why: string }
  | { state: 'connecting'; link: number; deadlineMs: number };

/** On a connection. */
export type SessionState =
  /** Asks the buffer what to say in Register. */
  | { state: 'looking'; link: number; call: number }
  | { state: 'registering'; link: number; call: number; sentMs: number; deadlineMs: number; page: number }
  /** Compares the collector's highest item with the buffer's own row of that sequence. */
  | { state: 'comparing'; link: number; call: number; response: RegisterResponse }
  | { state: 'opening-epoch'; link: number }
  /** An error, or the collector, asked for a pause before the next Register or the next attempt at an epoch. */
  | { state: 'holding'; link: number; untilMs: number; next: 'register' | 'epoch'; why: string }
  /** Registered. What each lane does is its own; see {@link UploadState}. */
  | { state: 'uploading'; link: number };

/** What the lanes do, taken together. */
export type UploadState =
  /** Streams are open, or about to be. */
  | { state: 'streaming'; link: number }
  /** Something waits, and must not be sent before that time. */
  | { state: 'holding'; link: number; untilMs: number; next: 'upload'; why: string }
  | { state: 'idle'; link: number; untilMs: number };

/** What happens to the uplink. */
export type UplinkEvent =
  | { type: 'start' }
  /** Cancels what is under way; nothing is sent any more. */
  | { type: 'stop' }
  /** The connection is to be made anew, because its certificates or the collector's address have changed. */
  | { type: 'reconnect' }
  /** Time has passed: sent when `wakeAtMs` is due. An early one does no harm. */
  | { type: 'tick' }
  | { type: 'connected'; link: number }
  | { type: 'connect-failed'; link: number; failure: GrpcOutcome }
  /** A connection that was ready is not any more. Calls on it may still be answered. */
  | { type: 'disconnected'; link: number }
  | { type: 'registered'; call: number; response: RegisterResponse }
  /** `conflict`: the collector refuses this epoch (FAILED_PRECONDITION); a new one must be opened. */
  | { type: 'register-failed'; call: number; failure: GrpcOutcome; conflict: boolean }
  /** The write of this stream has been taken; the next one may come. */
  | { type: 'writable'; stream: number }
  | { type: 'answered'; stream: number; response: UploadResponse }
  | { type: 'stream-failed'; stream: number; failure: GrpcOutcome }
  | { type: 'status'; call: number; counts: BufferCounts }
  | { type: 'items'; call: number; items: Item[]; counts: BufferCounts }
  | { type: 'epoch-opened'; identity: BufferIdentity }
  /** The buffer could not do what an effect asked for. */
  | { type: 'buffer-failed'; effect: UplinkEffect['type']; message: string }
  /** Items up to this sequence are in the buffer. */
  | { type: 'appended'; epoch: Uint8Array; highestSequence: number }
  /** The whole catalogue, after entries were added. Comes before items that need them are appended. */
  | { type: 'catalogue'; catalogue: DeviceCatalogue }
  /** What waits is to be sent and answered soon, from now on. */
  | { type: 'flush' }
  /** The collector asks for it in the alert stream. */
  | { type: 'register-again' };

/**
 * What the host shall do, in this order. Operations on the buffer are started in this order too and carried out one after
 * another, so a read sees the acknowledgement and the quarantine before it.
 */
export type UplinkEffect =
  | { type: 'connect'; link: number }
  | { type: 'close'; link: number }
  /** The host sets the request's monotonic time and segment in the moment of sending. */
  | { type: 'register'; link: number; call: number; request: RegisterRequest }
  /** `id` of a call or a stream. */
  | { type: 'cancel'; id: number }
  | { type: 'open'; link: number; stream: number }
  /**
   * The host sets the header's watermark in the moment of sending; `oldestLive` is the lowest sequence that will be sent in
   * the live lane or is under way there, undefined when there is none.
   */
  | { type: 'write'; stream: number; header: UploadHeader | undefined; oldestLive: number | undefined; items: Item[] }
  | { type: 'finish'; stream: number }
  | { type: 'status'; call: number }
  | { type: 'read'; call: number; fromSequence: number; maxBytes: number; maxItems: number }
  | { type: 'acknowledge'; epoch: Uint8Array; ranges: SequenceRange[] }
  | { type: 'in-doubt'; epoch: Uint8Array; ranges: SequenceRange[] }
  /** The session has ended: these were sent and never answered, and nothing more is sent before the next Register. */
  | { type: 'stop-sending'; epoch: Uint8Array; ranges: SequenceRange[] }
  | { type: 'quarantine'; epoch: Uint8Array; sequence: number; reason: RejectionReason; detail: string }
  /** Answered by `epoch-opened`. */
  | { type: 'open-epoch' }
  /** The buffer has another epoch, as after damage: answered by `epoch-opened` with its identity. */
  | { type: 'identify' }
  | { type: 'log'; level: 'info' | 'warn' | 'error'; message: string; fields: Record<string, string | number> };

/** Counters since the start, for metrics. */
export interface UplinkCounters {
  connects: number;
  connectFailures: number;
  registrations: number;
  /** Streams by how they ended. */
  streamsAnswered: number;
  streamsDeferred: number;
  streamsBroken: number;
  itemsAcknowledged: number;
  itemsRejected: number;
  itemsForked: number;
  epochsOpened: number;
  /** Items that the collector had called durable, and does not have any more: it was restored from a backup. */
  itemsForgotten: number;
  /** Monotonic time of the last answer that made progress; undefined before the first. */
  lastSuccessMs: number | undefined;
}
