import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import { countOf } from '@tributary/core/sequence-ranges/sequence-ranges';
import { DeferralReason, RejectionReason, type UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import { isTooLarge } from './failure-policy.js';
import type { SessionRegister } from './session-register.js';
import type { SessionShared } from './session-shared.js';
import type { SessionUpload } from './session-upload.js';
import { type UploadVerdicts, uploadVerdicts } from './upload-answer.js';
import type { UploadLane } from './upload-lane.js';
import type { UploadStream } from './upload-stream.js';

/** What an upload's answer, its failure or its silence means: for the buffer, for its lane, and for the session. */
export class SessionAnswers {
  readonly #with: SessionShared;
  readonly #register: SessionRegister;
  readonly #upload: SessionUpload;
  /** Streams that were open when one broke say nothing about how large the next may be. */
  #brokenId = 0;

  constructor(shared: SessionShared, register: SessionRegister, upload: SessionUpload) {
    this.#with = shared;
    this.#register = register;
    this.#upload = upload;
  }

  /** The one answer of a stream of this lane. */
  answered(lane: UploadLane, stream: UploadStream, response: UploadResponse): void {
    const { outbox, counters, doubt, registration } = this.#with;
    // An early answer ends the producer.
    if (!stream.finished) outbox.effect({ type: 'cancel', id: stream.id });
    lane.remove(stream);
    const verdicts = uploadVerdicts(response, stream.sent);
    const { durable, rejected, forked, held } = verdicts;
    if (durable.length > 0) {
      counters.itemsAcknowledged += countOf(durable);
      outbox.effect({ type: 'acknowledge', epoch: stream.epoch, ranges: durable });
    }
    for (const { sequence, reason, detail } of rejected) this.#with.quarantine(stream.epoch, sequence, reason, detail);
    // After a change of the epoch what this stream sent is not in the buffer any more.
    if (stream.epoch === registration.epoch) {
      registration.acknowledged(durable);
      doubt.answered(stream.sent, verdicts.unnamed);
      this.#stepAside(stream, verdicts);
    }
    // A heartbeat that was put off is none, or a collector that says so each time would be asked without any back-off.
    const isHeard = stream.items === 0 && verdicts.pauseMs === undefined;
    const isProgress = isHeard || durable.length > 0 || rejected.length > 0;
    if (isProgress) this.#progressed(lane, stream, forked.length > 0);
    this.#measure(lane, stream, response);
    const isMoved = isProgress || forked.length > 0 || held.length > 0;
    if (verdicts.pauseMs !== undefined || !isMoved) this.#pause(lane, verdicts.pauseMs ?? 0, verdicts.pauseReason);
    else counters.streamsAnswered++;
    if (verdicts.pauseMs !== undefined || verdicts.unnamed.length > 0 || forked.length > 0) lane.isRewindDue = true;
    if (verdicts.registerAgain) {
      this.#with.registerAtMs = 0;
      this.#upload.end(lane.pauseUntilMs, 'the collector asked to register again', false);
    }
    if (verdicts.leaving) this.#upload.end(lane.pauseUntilMs, 'the collector stops', true);
    this.#upload.carryOn();
  }

  /** What the collector has other bytes for, or does not know yet, is not sent for now. */
  #stepAside(stream: UploadStream, { forked, held, heldMs }: UploadVerdicts): void {
    const { outbox, queue, counters, random } = this.#with;
    if (forked.length > 0) {
      counters.itemsForked += countOf(forked);
      outbox.log('error', 'the collector has other bytes under these sequences', { first: forked[0].first });
      queue.forked(forked, Math.max(this.#upload.highestSent, stream.sent.at(-1)?.last ?? 0));
      this.#upload.live.isRewindDue = true;
    }
    if (held.length > 0) {
      outbox.log('warn', 'the collector does not know the encoding or kind of some items', { first: held[0].first });
      queue.hold(held, outbox.nowMs + heldMs * (1 + random()));
    }
  }

  #progressed(lane: UploadLane, stream: UploadStream, forked: boolean): void {
    this.#with.host.trouble.succeeded();
    lane.deferrals = 0;
    this.#with.counters.lastSuccessMs = this.#with.outbox.nowMs;
    if (stream.id > this.#brokenId) this.#with.queue.succeeded(stream.bytes);
    if (stream.items > 0 && !forked && !this.#with.queue.isForked) this.#register.epochHolds();
  }

  #measure(lane: UploadLane, stream: UploadStream, response: UploadResponse): void {
    const isLive = lane === this.#upload.live;
    if (isLive) this.#upload.heard();
    // A live stream that waited for readings says nothing about the pipe.
    if (!isLive || stream.isFull) {
      this.#with.pipe.arrived(stream.mark, stream.bytes, this.#with.outbox.nowMs, stream.isFull);
    }
    this.#upload.grant(lane, stream, response.backfillBytesPerSecond);
  }

  /**
   * The collector asked to wait: its delay is the floor, and waits without progress between them grow. Backfill waits for
   * whatever live has to wait for; live does not wait for backfill.
   */
  #pause(lane: UploadLane, delayMs: number, reason: DeferralReason): void {
    const { counters, random, queue, outbox } = this.#with;
    counters.streamsDeferred++;
    const waitMs = nextDelayMs(lane.deferrals++, random, queue.limits.retry, delayMs);
    const untilMs = outbox.nowMs + waitMs;
    const why = `the collector asked for it: ${DeferralReason[reason] ?? String(reason)}`;
    lane.pause(untilMs, why);
    if (lane === this.#upload.live) this.#upload.backfill.pause(untilMs, why);
    outbox.log('info', 'the collector asks to send later', {
      lane: lane === this.#upload.live ? 'live' : 'backfill',
      reason: DeferralReason[reason] ?? String(reason),
      retryInMs: Math.round(waitMs),
    });
  }

  /** A stream has failed. */
  broken(lane: UploadLane, stream: UploadStream, failure: GrpcOutcome): void {
    const { queue, outbox, counters, doubt, registration, host } = this.#with;
    const { limits } = queue;
    counters.streamsBroken++;
    lane.remove(stream);
    lane.isRewindDue = true;
    queue.broke(stream.bytes);
    this.#brokenId = outbox.id();
    const alone = stream.items === 1 ? stream.sent[0].first : undefined;
    if (isTooLarge(failure)) {
      queue.messageTooLarge(stream.bytes);
      if (alone !== undefined) this.#with.quarantine(stream.epoch, alone, RejectionReason.TOO_LARGE, failure.message);
    } else if (alone !== undefined && (failure.kind === 'invalid' || failure.kind === 'internal')) {
      if (queue.failedAlone(alone) >= limits.itemAloneFailuresMax) {
        outbox.log('error', 'an item breaks each stream that it is in, and steps aside', { sequence: alone });
        queue.hold([{ first: alone, last: alone }], outbox.nowMs + limits.aloneHoldMs);
      }
    }
    if (stream.epoch === registration.epoch) doubt.broke(stream.sent);
    const { dropLink, delayMs, why } = host.trouble.failed(failure, 'an upload broke');
    this.#with.registerAtMs = 0;
    if (dropLink) {
      host.drop(delayMs, why);
      return;
    }
    this.#upload.end(outbox.nowMs + delayMs, why, false);
    this.#upload.carryOn();
  }

  /** The answer of a stream did not come in time. */
  late(stream: UploadStream): void {
    this.#with.counters.streamsBroken++;
    this.#with.queue.broke(stream.bytes);
    this.#brokenId = this.#with.outbox.id();
    this.#with.giveUp('the collector did not answer an upload in time', this.#with.queue.limits.answerMs);
  }
}
