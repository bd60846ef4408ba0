import type { Random } from '@tributary/core/clock/random';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { BufferCounts, BufferIdentity } from '../buffer/buffer.js';
import { BacklogLane } from './backlog-lane.js';
import { InDoubt } from './in-doubt.js';
import { PipeEstimate } from './pipe-estimate.js';
import { Registration, type RegistrationOptions } from './registration.js';
import { SendQueue } from './send-queue.js';
import type { SessionState, UplinkCounters } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';
import type { UplinkOutbox } from './uplink-outbox.js';
import type { UplinkTrouble } from './uplink-trouble.js';

/** What the session shares with the connection. */
export interface SessionHost {
  outbox: UplinkOutbox;
  trouble: UplinkTrouble;
  counters: UplinkCounters;
  /** Ends the session and closes the link; the next attempt comes after `delayMs`. */
  drop(delayMs: number, why: string): void;
  /** The same for a connection that was sound and has ended. */
  dropped(): void;
}

export interface SessionOptions extends RegistrationOptions {
  random: Random;
  identity: BufferIdentity;
}

/** What the uploads tell of themselves. */
export interface LanesUnderWay {
  /** Sent on this connection and not answered, of this epoch. */
  readonly underWay: SequenceRange[];
}

/** What registering and uploading share: the state, what is known of both sides, and the ways out of a failure. */
export class SessionShared {
  readonly random: Random;
  readonly host: SessionHost;
  readonly outbox: UplinkOutbox;
  readonly counters: UplinkCounters;
  readonly queue: SendQueue;
  readonly backlog: BacklogLane;
  readonly registration: Registration;
  readonly doubt: InDoubt;
  readonly pipe: PipeEstimate;
  /** Both lanes: what they have under way, and when they send. */
  lanes: LanesUnderWay = { underWay: [] };
  /** Undefined without a connection. */
  state: SessionState | undefined;
  /** The buffer's own counts when it was last asked. */
  status: BufferCounts | undefined;
  /** When Register is due; infinite while it is not. */
  registerAtMs = 0;
  /** The connection takes nothing new; what is under way may still be answered. */
  linkLost = false;
  openingEpoch = false;
  /** Whoever waits wants answers soon: streams do not linger any more. */
  flushing = false;

  constructor(options: SessionOptions, limits: UplinkLimits, host: SessionHost) {
    this.random = options.random;
    this.host = host;
    this.outbox = host.outbox;
    this.counters = host.counters;
    this.queue = new SendQueue(limits);
    this.backlog = new BacklogLane(limits.liveBacklogMs, limits.liveBacklogBytes);
    this.registration = new Registration(options, options.identity, limits.cataloguePageBytes);
    this.doubt = new InDoubt(this.outbox, this);
    this.pipe = new PipeEstimate(limits);
  }

  get epoch(): Uint8Array {
    return this.registration.epoch;
  }

  get underWay(): SequenceRange[] {
    return this.lanes.underWay;
  }

  get isRegisterDue(): boolean {
    return this.outbox.nowMs >= this.registerAtMs || this.registration.isIncomplete;
  }

  get isRoomy(): boolean {
    return this.status !== undefined && this.status.bytesWaiting * 2 <= this.status.quotaBytes;
  }

  hold(link: number, untilMs: number, next: 'register' | 'epoch', why: string): void {
    this.state = { state: 'holding', link, untilMs, next, why };
  }

  /** A watchdog of our own has fired: whatever that connection is, it is of no use. */
  giveUp(why: string, afterMs: number): void {
    this.host.drop(this.host.trouble.happened('warn', why, { afterMs }), why);
  }

  /**
   * Takes the buffer's own counts. False when the buffer has begun anew, as it does after damage: what was asked of it is
   * void then, and the session learns of the new epoch first.
   */
  see(status: BufferCounts): boolean {
    if (Buffer.compare(status.epoch, this.registration.epoch) !== 0) {
      if (!this.openingEpoch) this.outbox.effect({ type: 'identify' });
      this.openingEpoch = true;
      return false;
    }
    this.status = status;
    this.registration.highest = Math.max(this.registration.highest, status.highestSequence);
    return true;
  }

  quarantine(epoch: Uint8Array, sequence: number, reason: RejectionReason, detail: string): void {
    this.counters.itemsRejected++;
    const why = RejectionReason[reason] ?? String(reason);
    this.outbox.log('error', 'an item is refused for good and put aside', { sequence, reason: why, detail });
    this.outbox.effect({ type: 'quarantine', epoch, sequence, reason, detail });
  }
}
