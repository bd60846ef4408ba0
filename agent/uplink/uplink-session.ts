import type { Random } from '@tributary/core/clock/random';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import type { RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import {
  DeferralReason,
  Lane,
  RejectionReason,
  type UploadHeader,
  type UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferIdentity, BufferStatus } from '../buffer/buffer.js';
import { BacklogLane } from './backlog-lane.js';
import { isTooLarge } from './failure-policy.js';
import { type Comparison, Registration, type RegistrationOptions } from './registration.js';
import { type Selection, SendQueue } from './send-queue.js';
import { countOf } from './sequence-ranges.js';
import type { SessionState, UplinkCounters, UplinkEffect, UplinkEvent } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';
import type { UplinkOutbox } from './uplink-outbox.js';
import type { UplinkTrouble } from './uplink-trouble.js';
import { type UploadVerdicts, uploadVerdicts } from './upload-answer.js';
import { type StreamSurroundings, UploadStream } from './upload-stream.js';

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

/** What happens on a connection: Register, then one upload after the other. What it learns outlives the connection. */
export class UplinkSession {
  readonly #random: Random;
  readonly #host: SessionHost;
  readonly #outbox: UplinkOutbox;
  readonly #counters: UplinkCounters;
  readonly #queue: SendQueue;
  readonly #backlog: BacklogLane;
  readonly #registration: Registration;
  readonly #surroundings: StreamSurroundings;
  #state: SessionState | undefined;
  #status: BufferStatus | undefined;
  #registerDue = true;
  #registeredAtMs = Number.NEGATIVE_INFINITY;
  #linkLost = false;
  #openingEpoch = false;
  #epochAttempts = 0;
  #epochUntilMs = 0;
  #deferrals = 0;
  #pauseUntilMs = 0;
  #backfillUntilMs = 0;
  #heartbeatAtMs = 0;
  /** What is sent and not answered, and whether the buffer was told. */
  #inDoubt: SequenceRange[] = [];
  #doubtTold = false;

  constructor(
    options: RegistrationOptions & { random: Random; identity: BufferIdentity },
    limits: UplinkLimits,
    host: SessionHost,
  ) {
    this.#random = options.random;
    this.#host = host;
    this.#outbox = host.outbox;
    this.#counters = host.counters;
    this.#queue = new SendQueue(limits);
    this.#backlog = new BacklogLane(limits.liveBacklogMs, limits.liveBacklogBytes);
    this.#registration = new Registration(options, options.identity, limits.cataloguePageBytes);
    this.#surroundings = {
      outbox: this.#outbox,
      queue: this.#queue,
      backlog: this.#backlog,
      highest: () => this.#registration.highest,
      bytesWaiting: () => this.#status?.bytesWaiting ?? 0,
      inDoubt: (ranges) => this.#sending(ranges),
    };
  }

  /** Undefined without a connection. */
  get state(): SessionState | undefined {
    return this.#state;
  }

  get wakeAtMs(): number {
    const state = this.#state;
    switch (state?.state) {
      case 'holding':
      case 'idle':
        return state.untilMs;
      case 'registering':
      case 'awaiting':
        return state.deadlineMs;
      case 'streaming':
        return state.stream.startedMs + this.#queue.limits.streamDurationMs;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** A connection is ready. */
  begin(link: number): void {
    this.#linkLost = false;
    this.#registerDue = true;
    this.#look(link);
  }

  /** The connection is about to be closed. */
  end(): void {
    const state = this.#state;
    if (state?.state === 'registering') this.#outbox.effect({ type: 'cancel', id: state.call });
    if (state?.state === 'streaming' || state?.state === 'awaiting') {
      this.#outbox.effect({ type: 'cancel', id: state.stream.id });
      if (this.#inDoubt.length > 0) this.#tellDoubt();
    }
    this.#state = undefined;
  }

  /** A collector that drains (GOAWAY) still answers what is under way; if it is gone, the stream's error follows. */
  disconnected(): void {
    const state = this.#state;
    if (state?.state !== 'streaming' && state?.state !== 'awaiting') {
      this.#host.dropped();
      return;
    }
    this.#linkLost = true;
    state.stream.finish();
    this.#carryOn(state.link, state.stream);
  }

  /** `wakeAtMs` is due. */
  tick(): void {
    const state = this.#state;
    switch (state?.state) {
      case 'registering':
        this.#giveUp('the collector did not answer Register in time', this.#queue.limits.registerMs);
        return;
      case 'holding':
        if (state.next === 'register') this.#look(state.link);
        else if (state.next === 'epoch') this.#openEpoch(state.link);
        else this.#next(state.link);
        return;
      case 'idle':
        this.#next(state.link);
        return;
      case 'streaming':
        state.stream.finish();
        this.#carryOn(state.link, state.stream);
        return;
      case 'awaiting':
        this.#counters.streamsBroken++;
        this.#queue.broke(state.stream.bytes);
        this.#giveUp('the collector did not answer an upload in time', this.#queue.limits.answerMs);
        return;
      default:
        return;
    }
  }

  /** Takes whatever is not about the connection itself, also while there is none. */
  take(event: UplinkEvent): void {
    const state = this.#state;
    switch (event.type) {
      case 'status':
        if (state?.state !== 'looking' || state.call !== event.call) return;
        if (this.#see(event.status)) this.#register(state.link, 0);
        else this.#look(state.link);
        return;
      case 'registered':
        if (state?.state === 'registering' && state.call === event.call) this.#registered(state, event.response);
        return;
      case 'register-failed':
        if (state?.state !== 'registering' || state.call !== event.call) return;
        if (event.conflict) this.#refusedEpoch(state.link, event.failure);
        else this.#failed(state.link, event.failure, 'the collector did not register this device');
        return;
      case 'items':
        this.#items(event.call, event.items, event.status);
        return;
      case 'writable':
        if (state?.state !== 'streaming' || state.stream.id !== event.stream) return;
        state.stream.writable();
        this.#carryOn(state.link, state.stream);
        return;
      case 'answered':
        if (state?.state !== 'streaming' && state?.state !== 'awaiting') return;
        if (state.stream.id === event.stream) this.#answered(state.link, state.stream, event.response);
        return;
      case 'stream-failed':
        if (state?.state !== 'streaming' && state?.state !== 'awaiting') return;
        if (state.stream.id === event.stream) this.#broken(state.link, state.stream, event.failure);
        return;
      case 'epoch-opened':
        this.#epochOpened(event.identity);
        return;
      case 'buffer-failed':
        this.#bufferFailed(event.effect, event.message);
        return;
      case 'appended':
        this.#appended(event.highestSequence);
        return;
      case 'catalogue':
        this.#registration.catalogue(event.series, event.segments);
        if (this.#registration.isIncomplete) this.#interrupt(this.#outbox.nowMs);
        return;
      case 'register-again':
        this.#registerAgain();
        return;
      default:
        return;
    }
  }

  #hold(link: number, untilMs: number, next: 'register' | 'upload' | 'epoch', why: string): void {
    this.#state = { state: 'holding', link, untilMs, next, why };
  }

  /** A watchdog of our own has fired: whatever that connection is, it is of no use. */
  #giveUp(why: string, afterMs: number): void {
    this.#host.drop(this.#host.trouble.happened('warn', why, { afterMs }), why);
  }

  #failed(link: number, failure: GrpcOutcome, what: string): void {
    const { dropLink, delayMs, why } = this.#host.trouble.failed(failure, what);
    this.#registerDue = true;
    if (dropLink || this.#linkLost) this.#host.drop(delayMs, why);
    else this.#hold(link, this.#outbox.nowMs + delayMs, 'register', why);
  }

  // Register.

  #look(link: number): void {
    if (this.#openingEpoch) {
      this.#state = { state: 'opening-epoch', link };
      return;
    }
    const call = this.#outbox.id();
    this.#state = { state: 'looking', link, call };
    this.#outbox.effect({ type: 'status', call });
  }

  #register(link: number, page: number): void {
    const call = this.#outbox.id();
    const deadlineMs = this.#outbox.nowMs + this.#queue.limits.registerMs;
    this.#state = { state: 'registering', link, call, deadlineMs, page };
    this.#outbox.effect({ type: 'register', link, call, request: this.#registration.request(this.#status) });
  }

  #registered(state: Extract<SessionState, { state: 'registering' }>, response: RegisterResponse): void {
    if (response.limits !== undefined) this.#queue.accept(response.limits);
    const answer = this.#registration.answered(response, state.page);
    if (answer === 'more') {
      this.#register(state.link, state.page + 1);
      return;
    }
    if (answer === 'stuck') {
      const why = 'the collector does not take the catalogue';
      this.#hold(state.link, this.#outbox.nowMs + this.#host.trouble.happened('warn', why), 'register', why);
      return;
    }
    this.#counters.registrations++;
    this.#registerDue = false;
    this.#registeredAtMs = this.#outbox.nowMs;
    this.#queue.registered();
    this.#heartbeatAtMs = this.#outbox.nowMs;
    this.#settle(state.link, response, this.#registration.compare(response));
  }

  /** Settles what was in doubt by what the collector has, and goes on. */
  #settle(link: number, response: RegisterResponse, comparison: Comparison): void {
    if (comparison.kind === 'look') {
      const call = this.#outbox.id();
      this.#state = { state: 'comparing', link, call, response };
      this.#outbox.effect({ type: 'read', call, fromSequence: comparison.sequence, maxBytes: 1, maxItems: 1 });
      return;
    }
    if (comparison.kind === 'fork') {
      const { upTo } = comparison;
      this.#outbox.log('error', 'the collector knows this buffer from a copy (restored image, cloned card?)', { upTo });
      this.#queue.forked([], upTo);
    } else if (comparison.kind === 'durable' && comparison.ranges.length > 0) {
      this.#outbox.effect({ type: 'acknowledge', epoch: this.#registration.epoch, ranges: comparison.ranges });
    }
    this.#doubt([]);
    this.#next(link);
  }

  #refusedEpoch(link: number, failure: GrpcOutcome): void {
    this.#outbox.log('error', 'the collector refuses this epoch', { details: failure.message });
    this.#openEpoch(link);
  }

  #openEpoch(link: number): void {
    const { nowMs } = this.#outbox;
    if (nowMs < this.#epochUntilMs) {
      this.#hold(link, this.#epochUntilMs, 'epoch', 'an epoch was opened only just now');
      return;
    }
    this.#epochUntilMs = nowMs + nextDelayMs(this.#epochAttempts++, this.#random, this.#queue.limits.retry);
    this.#openingEpoch = true;
    this.#state = { state: 'opening-epoch', link };
    this.#outbox.effect({ type: 'open-epoch' });
  }

  /** The buffer has a new epoch, because it was told to open one or because it had to begin anew. */
  #epochOpened(identity: BufferIdentity): void {
    const state = this.#state;
    this.#openingEpoch = false;
    this.#counters.epochsOpened++;
    this.#registration.newEpoch(identity);
    this.#status = undefined;
    this.#registerDue = true;
    this.#queue.newEpoch();
    this.#backlog.clear();
    this.#inDoubt = [];
    this.#doubtTold = false;
    this.#outbox.log('warn', 'a new epoch was opened', { epoch: Buffer.from(identity.epoch).toString('hex') });
    if (state?.state === 'opening-epoch') this.#look(state.link);
    else this.#interrupt(this.#outbox.nowMs);
  }

  // What waits.

  /**
   * Takes the buffer's own counts. False when the buffer has begun anew, as it does after damage: what was asked of it is
   * void then, and the session learns of the new epoch first.
   */
  #see(status: BufferStatus): boolean {
    if (Buffer.compare(status.epoch, this.#registration.epoch) !== 0) {
      if (!this.#openingEpoch) this.#outbox.effect({ type: 'identify' });
      this.#openingEpoch = true;
      return false;
    }
    this.#status = status;
    this.#registration.highest = Math.max(this.#registration.highest, status.highestSequence);
    return true;
  }

  #appended(highestSequence: number): void {
    if (highestSequence <= this.#registration.highest) return;
    this.#backlog.appended(this.#registration.highest, this.#outbox.nowMs);
    this.#registration.highest = highestSequence;
    if (this.#state?.state === 'idle') this.#next(this.#state.link);
  }

  /** Asked of a whole fleet at once, or by a collector that does not stop asking: not in step, and not too often. */
  #registerAgain(): void {
    this.#registerDue = true;
    const earliestMs = Math.max(this.#outbox.nowMs, this.#registeredAtMs + this.#queue.limits.registerAgainMs);
    this.#interrupt(earliestMs + this.#random() * this.#queue.limits.droppedJitterMs);
  }

  /** Register is due at that time; what is under way ends soon. */
  #interrupt(atMs: number): void {
    const state = this.#state;
    if (state?.state === 'idle' || state?.state === 'reading') {
      if (atMs > this.#outbox.nowMs) this.#hold(state.link, atMs, 'register', 'Register is due');
      else this.#look(state.link);
    } else if (state?.state === 'streaming') {
      state.stream.finish();
      this.#carryOn(state.link, state.stream);
    }
  }

  /** Everything that was sent is settled, and everything that there is was sent: the buffer need not be asked. */
  #isDrainedBy(stream: UploadStream, verdicts: UploadVerdicts): boolean {
    return (
      stream.isWhole &&
      stream.nextSequence > this.#registration.highest &&
      countOf(verdicts.durable) === stream.items &&
      this.#queue.heldUntilMs() === Number.POSITIVE_INFINITY
    );
  }

  #next(link: number): void {
    if (this.#linkLost) this.#host.dropped();
    else if (this.#openingEpoch || this.#registerDue || this.#registration.isIncomplete) this.#look(link);
    else if (this.#outbox.nowMs < this.#pauseUntilMs) {
      this.#hold(link, this.#pauseUntilMs, 'upload', 'the collector asked for it');
    } else {
      this.#queue.release(this.#outbox.nowMs);
      this.#read(link, 1);
    }
  }

  #read(link: number, from: number): void {
    const call = this.#outbox.id();
    const fromSequence = this.#queue.skip(from);
    this.#state = { state: 'reading', link, call, fromSequence };
    this.#outbox.effect(this.#queue.readEffect(call, fromSequence, UploadStream.bytesMax(this.#queue)));
  }

  #items(call: number, items: Item[], status: BufferStatus): void {
    const state = this.#state;
    if (state?.state === 'streaming' && state.stream.reads(call)) {
      const { stream } = state;
      if (this.#see(status)) stream.read(this.#select(items, stream.nextSequence, stream.bytesLeft, false, status));
      else stream.finish();
      this.#carryOn(state.link, stream);
      return;
    }
    if ((state?.state !== 'comparing' && state?.state !== 'reading') || state.call !== call) return;
    if (!this.#see(status)) this.#look(state.link);
    else if (state.state === 'reading') this.#firstItems(state, items, status);
    else this.#settle(state.link, state.response, this.#registration.compareRow(state.response, items[0]));
  }

  #select(items: Item[], from: number, bytesLeft: number, first: boolean, status: BufferStatus): Selection {
    const selection = this.#queue.select(items, from, bytesLeft, first);
    if (items.length === 0) selection.nextSequence = status.highestSequence + 1;
    for (const item of selection.tooLarge) {
      const detail = `${item.body.length} bytes, the collector takes ${this.#queue.limits.itemBytesMax}`;
      this.#quarantine(this.#registration.epoch, item.sequence, RejectionReason.TOO_LARGE, detail);
    }
    return selection;
  }

  #firstItems(state: Extract<SessionState, { state: 'reading' }>, items: Item[], status: BufferStatus): void {
    const { nowMs } = this.#outbox;
    const { link } = state;
    const selection = this.#select(items, state.fromSequence, UploadStream.bytesMax(this.#queue), true, status);
    if (selection.items.length > 0) {
      const lane = this.#backlog.laneOf(selection.items[0].sequence, status.bytesWaiting, nowMs);
      if (lane === Lane.LIVE || nowMs >= this.#backfillUntilMs) this.#open(link, lane, selection);
      else this.#hold(link, this.#backfillUntilMs, 'upload', 'the budget for backfill');
    } else if (!selection.ended && selection.nextSequence <= this.#registration.highest) {
      this.#read(link, selection.nextSequence);
    } else if (this.#queue.isForked) this.#openEpoch(link);
    else if (nowMs >= this.#heartbeatAtMs) this.#open(link, Lane.LIVE, selection);
    else this.#state = { state: 'idle', link, untilMs: Math.min(this.#heartbeatAtMs, this.#queue.heldUntilMs()) };
  }

  // One stream.

  #open(link: number, lane: Lane, selection: Selection): void {
    this.#carryOn(link, new UploadStream(this.#surroundings, link, lane, this.#header(lane), selection));
  }

  #header(lane: Lane): UploadHeader {
    const status = this.#status;
    const waits = status !== undefined && status.itemsWaiting > 0;
    return {
      epoch: this.#registration.epoch,
      fencingToken: this.#registration.fencingToken,
      lane,
      watermarkUs: 0,
      watermarkSegment: 0,
      backlog: waits ? { first: status.oldestSequence, last: status.highestSequence } : undefined,
      readingsProduced: status?.readingsProduced ?? 0,
      readingsWaiting: status?.readingsWaiting ?? 0,
    };
  }

  #carryOn(link: number, stream: UploadStream): void {
    if (this.#state?.state === 'awaiting' && this.#state.stream === stream) return;
    this.#state = stream.finished
      ? { state: 'awaiting', link, stream, deadlineMs: this.#outbox.nowMs + this.#queue.limits.answerMs }
      : { state: 'streaming', link, stream };
  }

  #answered(link: number, stream: UploadStream, response: UploadResponse): void {
    const { nowMs } = this.#outbox;
    // An early answer ends the producer.
    if (!stream.finished) this.#outbox.effect({ type: 'cancel', id: stream.id });
    const verdicts = uploadVerdicts(response, stream.sent);
    if (verdicts.durable.length > 0) {
      this.#counters.itemsAcknowledged += countOf(verdicts.durable);
      this.#outbox.effect({ type: 'acknowledge', epoch: stream.epoch, ranges: verdicts.durable });
    }
    for (const { sequence, reason, detail } of verdicts.rejected) {
      this.#quarantine(stream.epoch, sequence, reason, detail);
    }
    // After a change of the epoch what this stream sent is not in the buffer any more.
    if (stream.epoch === this.#registration.epoch) this.#doubt(verdicts.unnamed);
    // A heartbeat that was put off is none, or a collector that says so each time would be asked without any back-off.
    const isHeard = stream.items === 0 && verdicts.pauseMs === undefined;
    const isProgress = isHeard || verdicts.durable.length > 0 || verdicts.rejected.length > 0;
    if (isProgress) this.#progressed(stream, verdicts.forked.length > 0);
    if (verdicts.forked.length > 0 && stream.epoch === this.#registration.epoch) {
      this.#counters.itemsForked += countOf(verdicts.forked);
      const { first } = verdicts.forked[0];
      this.#outbox.log('error', 'the collector has other bytes under these sequences', { first });
      this.#queue.forked(verdicts.forked, stream.sent.at(-1)?.last ?? 0);
    }
    if (verdicts.held.length > 0 && stream.epoch === this.#registration.epoch) {
      const { first } = verdicts.held[0];
      this.#outbox.log('warn', 'the collector does not know the encoding or kind of some items', { first });
      this.#queue.hold(verdicts.held, nowMs + verdicts.heldMs * (1 + this.#random()));
    }
    const isMoved = isProgress || verdicts.forked.length > 0 || verdicts.held.length > 0;
    if (verdicts.pauseMs !== undefined || !isMoved) this.#pause(verdicts.pauseMs ?? 0, verdicts.pauseReason);
    else this.#counters.streamsAnswered++;
    if (verdicts.registerAgain) this.#registerDue = true;
    if (stream.lane === Lane.BACKFILL && response.backfillBytesPerSecond > 0) {
      this.#backfillUntilMs = stream.startedMs + (stream.bytes / response.backfillBytesPerSecond) * 1000;
    }
    this.#heartbeatAtMs = nowMs + this.#queue.limits.heartbeatMs;
    if (verdicts.leaving) this.#host.drop(this.#pauseUntilMs - nowMs, 'the collector stops');
    else if (this.#registerDue && !this.#linkLost && nowMs < this.#pauseUntilMs) {
      this.#hold(link, this.#pauseUntilMs, 'register', 'the collector asked to register again');
    } else if (this.#isDrainedBy(stream, verdicts) && !this.#isBusy()) {
      this.#state = { state: 'idle', link, untilMs: this.#heartbeatAtMs };
    } else this.#next(link);
  }

  /** Whether something else than items is due. */
  #isBusy(): boolean {
    return (
      this.#linkLost ||
      this.#openingEpoch ||
      this.#registerDue ||
      this.#registration.isIncomplete ||
      this.#queue.isForked
    );
  }

  #progressed(stream: UploadStream, forked: boolean): void {
    this.#host.trouble.succeeded();
    this.#deferrals = 0;
    this.#counters.lastSuccessMs = this.#outbox.nowMs;
    this.#queue.succeeded(stream.bytes);
    if (stream.items > 0 && !forked && !this.#queue.isForked) this.#epochAttempts = 0;
  }

  /** The collector asked to wait: its delay is the floor, and waits without progress between them grow. */
  #pause(delayMs: number, reason: DeferralReason): void {
    this.#counters.streamsDeferred++;
    const waitMs = nextDelayMs(this.#deferrals++, this.#random, this.#queue.limits.retry, delayMs);
    this.#pauseUntilMs = this.#outbox.nowMs + waitMs;
    const why = DeferralReason[reason] ?? String(reason);
    this.#outbox.log('info', 'the collector asks to send later', { reason: why, retryInMs: Math.round(waitMs) });
  }

  #broken(link: number, stream: UploadStream, failure: GrpcOutcome): void {
    const { limits } = this.#queue;
    this.#counters.streamsBroken++;
    this.#queue.broke(stream.bytes);
    const alone = stream.items === 1 ? stream.sent[0].first : undefined;
    if (isTooLarge(failure)) {
      this.#queue.messageTooLarge(stream.bytes);
      if (alone !== undefined) this.#quarantine(stream.epoch, alone, RejectionReason.TOO_LARGE, failure.message);
    } else if (alone !== undefined && (failure.kind === 'invalid' || failure.kind === 'internal')) {
      if (this.#queue.failedAlone(alone) >= limits.itemAloneFailuresMax) {
        this.#outbox.log('error', 'an item breaks each stream that it is in, and steps aside', { sequence: alone });
        this.#queue.hold([{ first: alone, last: alone }], this.#outbox.nowMs + limits.aloneHoldMs);
      }
    }
    if (stream.epoch === this.#registration.epoch) this.#doubt(stream.sent);
    this.#failed(link, failure, 'an upload broke');
  }

  #bufferFailed(effect: UplinkEffect['type'], message: string): void {
    if (effect === 'open-epoch') this.#openingEpoch = false;
    const why = `the buffer failed: ${message}`;
    const untilMs = this.#outbox.nowMs + this.#host.trouble.happened('error', why, { effect });
    const state = this.#state;
    switch (state?.state) {
      case 'opening-epoch':
        this.#hold(state.link, untilMs, 'epoch', why);
        return;
      case 'looking':
      case 'comparing':
        this.#registerDue = true;
        this.#hold(state.link, untilMs, 'register', why);
        return;
      case 'reading':
        this.#hold(state.link, untilMs, 'upload', why);
        return;
      case 'streaming':
        if (effect !== 'read') return;
        state.stream.finish();
        this.#carryOn(state.link, state.stream);
        return;
      default:
        return;
    }
  }

  #quarantine(epoch: Uint8Array, sequence: number, reason: RejectionReason, detail: string): void {
    this.#counters.itemsRejected++;
    const why = RejectionReason[reason] ?? String(reason);
    this.#outbox.log('error', 'an item is refused for good and put aside', { sequence, reason: why, detail });
    this.#outbox.effect({ type: 'quarantine', epoch, sequence, reason, detail });
  }

  /**
   * Items are under way. The buffer evicts what is in doubt last; while it is far from full it evicts nothing before the
   * answer or the watchdog comes, and need not be told of each message.
   */
  #sending(ranges: SequenceRange[]): void {
    this.#inDoubt = ranges;
    if (this.#status === undefined || this.#status.bytesWaiting * 2 > this.#status.quotaBytes) this.#tellDoubt();
  }

  /** Settles what was in doubt but for these; says nothing when the buffer knows of nothing and there is nothing. */
  #doubt(ranges: SequenceRange[]): void {
    this.#inDoubt = ranges;
    if (ranges.length > 0 || this.#doubtTold) this.#tellDoubt();
  }

  /** The answer will not come: the items stay in doubt until Register, however long that takes. */
  #tellDoubt(): void {
    this.#doubtTold = this.#inDoubt.length > 0;
    this.#outbox.effect({ type: 'in-doubt', epoch: this.#registration.epoch, ranges: this.#inDoubt });
  }
}
