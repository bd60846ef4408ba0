import type { BufferIdentity } from '../buffer/buffer.js';
import { SessionRegister } from './session-register.js';
import { type SessionHost, type SessionOptions, SessionShared } from './session-shared.js';
import { SessionUpload } from './session-upload.js';
import type { SessionState, UplinkEffect, UplinkEvent } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';

/** What happens on a connection: Register, then one upload after the other. What it learns outlives the connection. */
export class UplinkSession {
  readonly #with: SessionShared;
  readonly #register: SessionRegister;
  readonly #upload: SessionUpload;

  constructor(options: SessionOptions, limits: UplinkLimits, host: SessionHost) {
    this.#with = new SessionShared(options, limits, host);
    this.#register = new SessionRegister(this.#with, (link) => this.#upload.begin(link));
    this.#upload = new SessionUpload(this.#with, this.#register);
  }

  /** Undefined without a connection. */
  get state(): SessionState | undefined {
    return this.#with.state;
  }

  get wakeAtMs(): number {
    const state = this.#with.state;
    switch (state?.state) {
      case 'holding':
      case 'idle':
        return state.untilMs;
      case 'registering':
      case 'awaiting':
        return state.deadlineMs;
      case 'streaming':
        return state.stream.endsAtMs;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** A connection is ready. */
  begin(link: number): void {
    this.#with.linkLost = false;
    this.#with.registerDue = true;
    this.#register.look(link);
  }

  /** The connection is about to be closed. */
  end(): void {
    const state = this.#with.state;
    if (state?.state === 'registering') this.#with.outbox.effect({ type: 'cancel', id: state.call });
    if (state?.state === 'streaming' || state?.state === 'awaiting') {
      this.#with.outbox.effect({ type: 'cancel', id: state.stream.id });
      this.#with.doubt.unanswered();
    }
    this.#with.state = undefined;
  }

  /** A collector that drains (GOAWAY) still answers what is under way; if it is gone, the stream's error follows. */
  disconnected(): void {
    const state = this.#with.state;
    if (state?.state !== 'streaming' && state?.state !== 'awaiting') {
      this.#with.host.dropped();
      return;
    }
    this.#with.linkLost = true;
    state.stream.finish();
    this.#upload.carryOn(state.link, state.stream);
  }

  /** `wakeAtMs` is due. */
  tick(): void {
    const state = this.#with.state;
    switch (state?.state) {
      case 'registering':
        this.#with.giveUp('the collector did not answer Register in time', this.#with.queue.limits.registerMs);
        return;
      case 'holding':
        if (state.next === 'register') this.#register.look(state.link);
        else if (state.next === 'epoch') this.#register.openEpoch(state.link);
        else this.#upload.next(state.link);
        return;
      case 'idle':
        this.#upload.next(state.link);
        return;
      case 'streaming':
        state.stream.finish();
        this.#upload.carryOn(state.link, state.stream);
        return;
      case 'awaiting':
        this.#with.counters.streamsBroken++;
        this.#with.queue.broke(state.stream.bytes);
        this.#with.giveUp('the collector did not answer an upload in time', this.#with.queue.limits.answerMs);
        return;
      default:
        return;
    }
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
        else this.#with.failed(state.link, event.failure, 'the collector did not register this device');
        return;
      case 'items':
        this.#upload.items(event.call, event.items, event.counts);
        return;
      case 'writable':
        if (state?.state !== 'streaming' || state.stream.id !== event.stream) return;
        state.stream.writable();
        this.#upload.carryOn(state.link, state.stream);
        return;
      case 'answered':
        if (state?.state !== 'streaming' && state?.state !== 'awaiting') return;
        if (state.stream.id === event.stream) this.#upload.answered(state.link, state.stream, event.response);
        return;
      case 'stream-failed':
        if (state?.state !== 'streaming' && state?.state !== 'awaiting') return;
        if (state.stream.id === event.stream) this.#upload.broken(state.link, state.stream, event.failure);
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
        this.#with.registration.catalogue(event.catalogue);
        if (this.#with.registration.isIncomplete) this.#interrupt(this.#with.outbox.nowMs);
        return;
      case 'register-again':
        this.#registerAgain();
        return;
      case 'flush':
        this.#with.flushing = true;
        if (state?.state !== 'streaming') return;
        state.stream.flush();
        this.#upload.carryOn(state.link, state.stream);
        return;
      default:
        return;
    }
  }

  #appended(highestSequence: number): void {
    if (highestSequence <= this.#with.registration.highest) return;
    this.#with.backlog.appended(this.#with.registration.highest, this.#with.outbox.nowMs);
    this.#with.registration.highest = highestSequence;
    const { state } = this.#with;
    if (state?.state === 'idle') this.#upload.next(state.link);
    else if (state?.state === 'streaming') {
      state.stream.appended();
      this.#upload.carryOn(state.link, state.stream);
    }
  }

  /** Asked of a whole fleet at once, or by a collector that does not stop asking: not in step, and not too often. */
  #registerAgain(): void {
    this.#with.registerDue = true;
    const earliestMs = Math.max(
      this.#with.outbox.nowMs,
      this.#register.registeredAtMs + this.#with.queue.limits.registerAgainMs,
    );
    this.#interrupt(earliestMs + this.#with.random() * this.#with.queue.limits.droppedJitterMs);
  }

  /** Register is due at that time; what is under way ends soon. */
  #interrupt(atMs: number): void {
    const state = this.#with.state;
    if (state?.state === 'idle' || state?.state === 'reading') {
      if (atMs > this.#with.outbox.nowMs) this.#with.hold(state.link, atMs, 'register', 'Register is due');
      else this.#register.look(state.link);
    } else if (state?.state === 'streaming') {
      state.stream.finish();
      this.#upload.carryOn(state.link, state.stream);
    }
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
        this.#with.registerDue = true;
        this.#with.hold(state.link, untilMs, 'register', why);
        return;
      case 'reading':
        this.#with.hold(state.link, untilMs, 'upload', why);
        return;
      case 'streaming':
        if (effect !== 'read') return;
        state.stream.finish();
        this.#upload.carryOn(state.link, state.stream);
        return;
      default:
        return;
    }
  }

  /** The buffer has a new epoch, because it was told to open one or because it had to begin anew. */
  #epochOpened(identity: BufferIdentity): void {
    const state = this.#with.state;
    this.#register.epochOpened(identity);
    if (state?.state === 'opening-epoch') this.#register.look(state.link);
    else this.#interrupt(this.#with.outbox.nowMs);
  }
}
