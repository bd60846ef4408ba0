import type { BufferIdentity } from '../buffer/buffer.js';
import { SessionAnswers } from './session-answers.js';
import { SessionRegister } from './session-register.js';
import { type SessionHost, type SessionOptions, SessionShared } from './session-shared.js';
import { SessionUpload } from './session-upload.js';
import type { SessionState, UplinkEffect, UplinkEvent, UploadState } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';
import type { UploadLane } from './upload-lane.js';
import type { UploadStream } from './upload-stream.js';

/** What happens on a connection: Register, then uploads in two lanes. What it learns outlives the connection. */
export class UplinkSession {
  readonly #with: SessionShared;
  readonly #register: SessionRegister;
  readonly #upload: SessionUpload;
  readonly #answers: SessionAnswers;

  constructor(options: SessionOptions, limits: UplinkLimits, host: SessionHost) {
    this.#with = new SessionShared(options, limits, host);
    this.#register = new SessionRegister(this.#with, (link) => this.#upload.begin(link));
    this.#upload = new SessionUpload(this.#with, this.#register);
    this.#answers = new SessionAnswers(this.#with, this.#register, this.#upload);
  }

  /** The connection; undefined without one. */
  get link(): number | undefined {
    return this.#with.state?.link;
  }

  /** Undefined without a connection. */
  get state(): Exclude<SessionState, { state: 'uploading' }> | UploadState | undefined {
    const { state } = this.#with;
    return state?.state === 'uploading' ? this.#upload.state(state.link) : state;
  }

  get wakeAtMs(): number {
    const state = this.#with.state;
    switch (state?.state) {
      case 'holding':
        return state.untilMs;
      case 'registering':
        return state.deadlineMs;
      case 'uploading':
        return this.#upload.wakeAtMs;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** A connection is ready. */
  begin(link: number): void {
    this.#with.linkLost = false;
    this.#with.registerAtMs = 0;
    this.#with.pipe.reset();
    this.#register.look(link);
  }

  /** The connection is about to be closed. */
  end(): void {
    const { state, outbox, doubt, registration } = this.#with;
    if (state === undefined) return;
    if (state.state === 'registering') outbox.effect({ type: 'cancel', id: state.call });
    for (const { id } of this.#upload.streams) outbox.effect({ type: 'cancel', id });
    // What the collector has and nobody has compared yet is in doubt as well.
    doubt.stopSending(state.state === 'comparing' ? registration.claimed(state.response) : []);
    this.#upload.reset();
    this.#with.state = undefined;
  }

  /** A collector that drains (GOAWAY) still answers what is under way; if it is gone, the streams' errors follow. */
  disconnected(): void {
    if (this.#with.state?.state !== 'uploading') {
      this.#with.host.dropped();
      return;
    }
    this.#with.linkLost = true;
    this.#upload.carryOn();
  }

  /** `wakeAtMs` is due. */
  tick(): void {
    const state = this.#with.state;
    switch (state?.state) {
      case 'registering':
        this.#with.giveUp('the collector did not answer Register in time', this.#with.queue.limits.registerMs);
        return;
      case 'holding':
        if (state.next === 'epoch') this.#register.openEpoch(state.link);
        else this.#register.look(state.link);
        return;
      case 'uploading':
        this.#tickUpload();
        return;
      default:
        return;
    }
  }

  #tickUpload(): void {
    const { nowMs } = this.#with.outbox;
    for (const lane of [this.#upload.live, this.#upload.backfill]) {
      const late = lane.late(nowMs);
      if (late !== undefined) {
        this.#answers.late(late);
        return;
      }
      if (lane.open !== undefined && lane.open.endsAtMs <= nowMs) lane.open.finish();
    }
    this.#upload.carryOn();
  }

  /** Takes whatever is not about the connection itself, also while there is none. */
  take(event: UplinkEvent): void {
    const state = this.#with.state;
    switch (event.type) {
      case 'status':
        if (state?.state !== 'looking' || state.call !== event.call) return;
        if (this.#with.see(event.counts)) this.#register.register(state.link, 0);
        else this.#register.look(state.link);
        return;
      case 'registered':
        if (state?.state === 'registering' && state.call === event.call)
          this.#register.registered(state, event.response);
        return;
      case 'register-failed':
        if (state?.state !== 'registering' || state.call !== event.call) return;
        if (event.conflict) this.#register.refusedEpoch(state.link, event.failure);
        else this.#register.failed(state.link, event.failure);
        return;
      case 'items':
        if (state?.state === 'comparing' && state.call === event.call) {
          if (this.#with.see(event.counts)) this.#register.compared(state, event.items[0]);
          else this.#register.look(state.link);
        } else if (state?.state === 'uploading') this.#upload.items(event.call, event.items, event.counts);
        return;
      case 'writable':
        this.#onStream(event.stream, (_, stream) => {
          stream.writable();
          this.#upload.carryOn();
        });
        return;
      case 'answered':
        this.#onStream(event.stream, (lane, stream) => this.#answers.answered(lane, stream, event.response));
        return;
      case 'stream-failed':
        this.#onStream(event.stream, (lane, stream) => this.#answers.broken(lane, stream, event.failure));
        return;
      case 'epoch-opened':
        this.#epochOpened(event.identity);
        return;
      case 'buffer-failed':
        this.#bufferFailed(event.effect, event.message);
        return;
      case 'appended':
        this.#appended(event.epoch, event.highestSequence);
        return;
      case 'catalogue':
        this.#with.registration.catalogue(event.catalogue);
        this.#upload.carryOn();
        return;
      case 'register-again':
        this.#registerAgain();
        return;
      case 'flush':
        this.#with.flushing = true;
        this.#upload.live.open?.flush();
        this.#upload.carryOn();
        return;
      default:
        return;
    }
  }

  #onStream(id: number, act: (lane: UploadLane, stream: UploadStream) => void): void {
    for (const lane of [this.#upload.live, this.#upload.backfill]) {
      const stream = lane.find(id);
      if (stream === undefined) continue;
      act(lane, stream);
      return;
    }
  }

  #appended(epoch: Uint8Array, highestSequence: number): void {
    if (Buffer.compare(epoch, this.#with.registration.epoch) !== 0) {
      // Of one that was left meanwhile it says nothing about this one, which has not come so far; of one that the buffer has
      // begun since, whatever is read says so.
      this.#upload.live.isRewindDue = true;
      this.#upload.carryOn();
      return;
    }
    if (highestSequence <= this.#with.registration.highest) return;
    this.#with.backlog.appended(this.#with.registration.highest, this.#with.outbox.nowMs);
    this.#with.registration.highest = highestSequence;
    this.#upload.live.open?.appended();
    this.#upload.carryOn();
  }

  /** Asked of a whole fleet at once, or by a collector that does not stop asking: not in step, and not too often. */
  #registerAgain(): void {
    const { outbox, queue, random } = this.#with;
    const earliestMs = Math.max(outbox.nowMs, this.#register.registeredAtMs + queue.limits.registerAgainMs);
    const atMs = earliestMs + random() * queue.limits.droppedJitterMs;
    this.#with.registerAtMs = Math.min(this.#with.registerAtMs, atMs);
    this.#upload.carryOn();
  }

  #bufferFailed(effect: UplinkEffect['type'], message: string): void {
    if (effect === 'open-epoch') this.#with.openingEpoch = false;
    const why = `the buffer failed: ${message}`;
    const untilMs = this.#with.outbox.nowMs + this.#with.host.trouble.happened('error', why, { effect });
    const state = this.#with.state;
    switch (state?.state) {
      case 'opening-epoch':
        this.#with.hold(state.link, untilMs, 'epoch', why);
        return;
      case 'looking':
      case 'comparing':
        this.#with.hold(state.link, untilMs, 'register', why);
        return;
      case 'uploading':
        // What could not be deleted or put aside would stay for as long as the connection: Register says again what is durable.
        if (effect === 'acknowledge' || effect === 'quarantine') this.#registerAgain();
        if (effect !== 'read') return;
        this.#upload.live.readFailed(untilMs, why);
        this.#upload.backfill.readFailed(untilMs, why);
        this.#upload.carryOn();
        return;
      default:
        return;
    }
  }

  /** The buffer has a new epoch, because it was told to open one or because it had to begin anew. */
  #epochOpened(identity: BufferIdentity): void {
    const state = this.#with.state;
    this.#register.epochOpened(identity);
    this.#upload.newEpoch();
    if (state?.state === 'opening-epoch') this.#register.look(state.link);
    else this.#upload.carryOn();
  }
}
