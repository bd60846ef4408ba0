import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import { countOf } from '@tributary/core/sequence-ranges/sequence-ranges';
import {
  DeferralReason,
  Lane,
  RejectionReason,
  type UploadHeader,
  type UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferCounts } from '../buffer/buffer.js';
import { isTooLarge } from './failure-policy.js';
import type { Selection } from './send-queue.js';
import type { SessionRegister } from './session-register.js';
import type { SessionShared } from './session-shared.js';
import type { SessionState } from './uplink-events.js';
import { type UploadVerdicts, uploadVerdicts } from './upload-answer.js';
import { type StreamSurroundings, UploadStream } from './upload-stream.js';

/** One upload after the other: what waits is read, sent in bounded streams, and settled by their answers. */
export class SessionUpload {
  readonly #with: SessionShared;
  readonly #register: SessionRegister;
  readonly #surroundings: StreamSurroundings;
  #deferrals = 0;
  #pauseUntilMs = 0;
  #backfillUntilMs = 0;
  #heartbeatAtMs = 0;

  constructor(shared: SessionShared, register: SessionRegister) {
    this.#with = shared;
    this.#register = register;
    this.#surroundings = {
      outbox: shared.outbox,
      queue: shared.queue,
      backlog: shared.backlog,
      highest: () => shared.registration.highest,
      lingers: () => shared.queue.limits.lingerMs > 0 && !shared.flushing && !shared.queue.isForked,
      bytesWaiting: () => shared.status?.bytesWaiting ?? 0,
      inDoubt: (ranges) => shared.doubt.sending(ranges),
    };
  }

  /** Register was answered: the collector hears of this device at once. */
  begin(link: number): void {
    this.#heartbeatAtMs = this.#with.outbox.nowMs;
    this.next(link);
  }

  next(link: number): void {
    if (this.#with.linkLost) this.#with.host.dropped();
    else if (this.#with.openingEpoch || this.#with.registerDue || this.#with.registration.isIncomplete)
      this.#register.look(link);
    else if (this.#with.outbox.nowMs < this.#pauseUntilMs) {
      this.#with.hold(link, this.#pauseUntilMs, 'upload', 'the collector asked for it');
    } else {
      this.#with.queue.release(this.#with.outbox.nowMs);
      this.#read(link, 1);
    }
  }

  #read(link: number, from: number): void {
    const call = this.#with.outbox.id();
    const fromSequence = this.#with.queue.skip(from);
    this.#with.state = { state: 'reading', link, call, fromSequence };
    this.#with.outbox.effect(this.#with.queue.readEffect(call, fromSequence, UploadStream.bytesMax(this.#with.queue)));
  }

  items(call: number, items: Item[], status: BufferCounts): void {
    const state = this.#with.state;
    if (state?.state === 'streaming' && state.stream.reads(call)) {
      const { stream } = state;
      if (this.#with.see(status))
        stream.read(this.#select(items, stream.nextSequence, stream.bytesLeft, false, status));
      else stream.finish();
      this.carryOn(state.link, stream);
      return;
    }
    if ((state?.state !== 'comparing' && state?.state !== 'reading') || state.call !== call) return;
    if (!this.#with.see(status)) this.#register.look(state.link);
    else if (state.state === 'reading') this.#firstItems(state, items, status);
    else
      this.#register.settle(state.link, state.response, this.#with.registration.compareRow(state.response, items[0]));
  }

  #select(items: Item[], from: number, bytesLeft: number, first: boolean, status: BufferCounts): Selection {
    const selection = this.#with.queue.select(items, from, bytesLeft, first);
    if (items.length === 0) selection.nextSequence = status.highestSequence + 1;
    for (const item of selection.tooLarge) {
      const detail = `${item.body.length} bytes, the collector takes ${this.#with.queue.limits.itemBytesMax}`;
      this.#with.quarantine(this.#with.registration.epoch, item.sequence, RejectionReason.TOO_LARGE, detail);
    }
    return selection;
  }

  #firstItems(state: Extract<SessionState, { state: 'reading' }>, items: Item[], status: BufferCounts): void {
    const { nowMs } = this.#with.outbox;
    const { link } = state;
    const selection = this.#select(items, state.fromSequence, UploadStream.bytesMax(this.#with.queue), true, status);
    if (selection.items.length > 0) {
      const lane = this.#with.backlog.laneOf(selection.items[0].sequence, status.bytesWaiting, nowMs);
      if (lane === Lane.LIVE || nowMs >= this.#backfillUntilMs) this.#open(link, lane, selection);
      else this.#with.hold(link, this.#backfillUntilMs, 'upload', 'the budget for backfill');
    } else if (!selection.ended && selection.nextSequence <= this.#with.registration.highest) {
      this.#read(link, selection.nextSequence);
    } else if (this.#with.queue.isForked) this.#register.openEpoch(link);
    else if (nowMs >= this.#heartbeatAtMs) this.#open(link, Lane.LIVE, selection);
    else
      this.#with.state = {
        state: 'idle',
        link,
        untilMs: Math.min(this.#heartbeatAtMs, this.#with.queue.heldUntilMs()),
      };
  }

  #open(link: number, lane: Lane, selection: Selection): void {
    this.carryOn(link, new UploadStream(this.#surroundings, link, lane, this.#header(lane), selection));
  }

  #header(lane: Lane): UploadHeader {
    const status = this.#with.status;
    const waits = status !== undefined && status.itemsWaiting > 0;
    return {
      epoch: this.#with.registration.epoch,
      fencingToken: this.#with.registration.fencingToken,
      lane,
      watermarkUs: 0,
      watermarkSegment: 0,
      backlog: waits ? { first: status.oldestSequence, last: status.highestSequence } : undefined,
      readingsProduced: status?.readingsProduced ?? 0,
      readingsWaiting: status?.readingsWaiting ?? 0,
    };
  }

  carryOn(link: number, stream: UploadStream): void {
    if (this.#with.state?.state === 'awaiting' && this.#with.state.stream === stream) return;
    this.#with.state = stream.finished
      ? { state: 'awaiting', link, stream, deadlineMs: this.#with.outbox.nowMs + this.#with.queue.limits.answerMs }
      : { state: 'streaming', link, stream };
  }

  answered(link: number, stream: UploadStream, response: UploadResponse): void {
    const { nowMs } = this.#with.outbox;
    // An early answer ends the producer.
    if (!stream.finished) this.#with.outbox.effect({ type: 'cancel', id: stream.id });
    const verdicts = uploadVerdicts(response, stream.sent);
    if (verdicts.durable.length > 0) {
      this.#with.counters.itemsAcknowledged += countOf(verdicts.durable);
      this.#with.outbox.effect({ type: 'acknowledge', epoch: stream.epoch, ranges: verdicts.durable });
    }
    for (const { sequence, reason, detail } of verdicts.rejected) {
      this.#with.quarantine(stream.epoch, sequence, reason, detail);
    }
    // After a change of the epoch what this stream sent is not in the buffer any more.
    if (stream.epoch === this.#with.registration.epoch) this.#with.doubt.settle(verdicts.unnamed);
    // A heartbeat that was put off is none, or a collector that says so each time would be asked without any back-off.
    const isHeard = stream.items === 0 && verdicts.pauseMs === undefined;
    const isProgress = isHeard || verdicts.durable.length > 0 || verdicts.rejected.length > 0;
    if (isProgress) this.#progressed(stream, verdicts.forked.length > 0);
    if (verdicts.forked.length > 0 && stream.epoch === this.#with.registration.epoch) {
      this.#with.counters.itemsForked += countOf(verdicts.forked);
      const { first } = verdicts.forked[0];
      this.#with.outbox.log('error', 'the collector has other bytes under these sequences', { first });
      this.#with.queue.forked(verdicts.forked, stream.sent.at(-1)?.last ?? 0);
    }
    if (verdicts.held.length > 0 && stream.epoch === this.#with.registration.epoch) {
      const { first } = verdicts.held[0];
      this.#with.outbox.log('warn', 'the collector does not know the encoding or kind of some items', { first });
      this.#with.queue.hold(verdicts.held, nowMs + verdicts.heldMs * (1 + this.#with.random()));
    }
    const isMoved = isProgress || verdicts.forked.length > 0 || verdicts.held.length > 0;
    if (verdicts.pauseMs !== undefined || !isMoved) this.#pause(verdicts.pauseMs ?? 0, verdicts.pauseReason);
    else this.#with.counters.streamsAnswered++;
    if (verdicts.registerAgain) this.#with.registerDue = true;
    if (stream.lane === Lane.BACKFILL && response.backfillBytesPerSecond > 0) {
      this.#backfillUntilMs = stream.startedMs + (stream.bytes / response.backfillBytesPerSecond) * 1000;
    }
    this.#heartbeatAtMs = nowMs + this.#with.queue.limits.heartbeatMs;
    if (verdicts.leaving) this.#with.host.drop(this.#pauseUntilMs - nowMs, 'the collector stops');
    else if (this.#with.registerDue && !this.#with.linkLost && nowMs < this.#pauseUntilMs) {
      this.#with.hold(link, this.#pauseUntilMs, 'register', 'the collector asked to register again');
    } else if (this.#isDrainedBy(stream, verdicts) && !this.#isBusy()) {
      this.#with.state = { state: 'idle', link, untilMs: this.#heartbeatAtMs };
    } else this.next(link);
  }

  /** Everything that was sent is settled, and everything that there is was sent: the buffer need not be asked. */
  #isDrainedBy(stream: UploadStream, verdicts: UploadVerdicts): boolean {
    return (
      stream.isWhole &&
      stream.nextSequence > this.#with.registration.highest &&
      countOf(verdicts.durable) === stream.items &&
      this.#with.queue.heldUntilMs() === Number.POSITIVE_INFINITY
    );
  }

  /** Whether something else than items is due. */
  #isBusy(): boolean {
    return (
      this.#with.linkLost ||
      this.#with.openingEpoch ||
      this.#with.registerDue ||
      this.#with.registration.isIncomplete ||
      this.#with.queue.isForked
    );
  }

  #progressed(stream: UploadStream, forked: boolean): void {
    this.#with.host.trouble.succeeded();
    this.#deferrals = 0;
    this.#with.counters.lastSuccessMs = this.#with.outbox.nowMs;
    this.#with.queue.succeeded(stream.bytes);
    if (stream.items > 0 && !forked && !this.#with.queue.isForked) this.#register.epochHolds();
  }

  /** The collector asked to wait: its delay is the floor, and waits without progress between them grow. */
  #pause(delayMs: number, reason: DeferralReason): void {
    this.#with.counters.streamsDeferred++;
    const waitMs = nextDelayMs(this.#deferrals++, this.#with.random, this.#with.queue.limits.retry, delayMs);
    this.#pauseUntilMs = this.#with.outbox.nowMs + waitMs;
    const why = DeferralReason[reason] ?? String(reason);
    this.#with.outbox.log('info', 'the collector asks to send later', { reason: why, retryInMs: Math.round(waitMs) });
  }

  broken(link: number, stream: UploadStream, failure: GrpcOutcome): void {
    const { limits } = this.#with.queue;
    this.#with.counters.streamsBroken++;
    this.#with.queue.broke(stream.bytes);
    const alone = stream.items === 1 ? stream.sent[0].first : undefined;
    if (isTooLarge(failure)) {
      this.#with.queue.messageTooLarge(stream.bytes);
      if (alone !== undefined) this.#with.quarantine(stream.epoch, alone, RejectionReason.TOO_LARGE, failure.message);
    } else if (alone !== undefined && (failure.kind === 'invalid' || failure.kind === 'internal')) {
      if (this.#with.queue.failedAlone(alone) >= limits.itemAloneFailuresMax) {
        this.#with.outbox.log('error', 'an item breaks each stream that it is in, and steps aside', {
          sequence: alone,
        });
        this.#with.queue.hold([{ first: alone, last: alone }], this.#with.outbox.nowMs + limits.aloneHoldMs);
      }
    }
    if (stream.epoch === this.#with.registration.epoch) this.#with.doubt.settle(stream.sent);
    this.#with.failed(link, failure, 'an upload broke');
  }
}
