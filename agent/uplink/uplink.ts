import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { UploadHeader } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Logger } from 'pino';
import type { BufferCounts, BufferIdentity, BufferStatus, Buffer as EdgeBuffer } from '../buffer/buffer.js';
import type { DeviceCatalogue } from './catalogue-page.js';
import { DrainEstimate, type DrainForecast } from './drain-estimate.js';
import { UplinkCore, type UplinkCoreOptions } from './uplink-core.js';
import type { UplinkCounters, UplinkEffect, UplinkEvent, UplinkState } from './uplink-events.js';
import type { LinkFactory, UplinkLink, UploadCall } from './uplink-link.js';

/** A moment on the device's monotonic line. */
export interface LineTime {
  segment: number;
  us: number;
}

/** What Register taught about the clocks: when it was sent and answered here, received and sent there. */
export interface ClockExchange {
  sentUs: number;
  answeredUs: number;
  collectorReceivedUs: number;
  collectorSentUs: number;
}

/** What surrounds the uplink. */
export interface UplinkDeps {
  buffer: EdgeBuffer;
  connect: LinkFactory;
  clock: Clock;
  scheduler: Scheduler;
  log: Logger;
  /** The segment that the monotonic line is in now. */
  segment(): number;
  /** No live reading older than this will come, given the oldest live item that waits; undefined while it is not known. */
  watermark(oldestLive: number | undefined): LineTime | undefined;
  /** The rules that the device evaluates by itself; absent where it has no use for any. */
  rules?: {
    /** Of those that run; empty for none. */
    readonly version: string;
    registered(response: RegisterResponse): void;
  };
  /** The buffer has opened a new epoch. */
  epochOpened(identity: BufferIdentity): void;
  /**
   * The collector has registered the device over this link, which is of use until `unlinked`, and knows that it has stored its
   * alerts up to the number `alertCursor`.
   */
  linked(link: UplinkLink, alertCursor: number): void;
  unlinked(): void;
  /**
   * Resolves when what follows for the catalogue is in it: nothing is uploaded before. Undefined when nothing follows.
   * Rejects when it cannot be written.
   */
  clocksCompared(exchange: ClockExchange): Promise<void> | undefined;
}

/** The uplink at work: carries the core's effects out over a link, against the buffer and one timer. */
export class Uplink {
  readonly #core: UplinkCore;
  readonly #deps: UplinkDeps;
  readonly #events: UplinkEvent[] = [];
  readonly #calls = new Map<number, () => void>();
  readonly #streams = new Map<number, UploadCall>();
  #link: { id: number; link: UplinkLink; told: boolean } | undefined;
  #dispatching = false;
  #stateName: UplinkState['state'] = 'stopped';
  #stateSinceMs = 0;
  readonly #drain = new DrainEstimate();
  #epoch: Uint8Array;
  #timer: { atMs: number; cancel: () => void } | undefined;
  #lastWatermark: LineTime = { segment: 0, us: 0 };
  #waiters: (() => void)[] = [];

  constructor(options: UplinkCoreOptions, deps: UplinkDeps) {
    this.#core = new UplinkCore(options);
    this.#epoch = options.identity.epoch;
    this.#deps = deps;
  }

  get state(): UplinkState {
    return this.#core.state;
  }

  get counters(): Readonly<UplinkCounters> {
    return this.#core.counters;
  }

  /** Where the backlog is going, given what the buffer counts now. */
  forecast(counts: BufferCounts): DrainForecast {
    return this.#drain.forecast(counts, this.#deps.scheduler.nowMs());
  }

  start(): void {
    this.#dispatch({ type: 'start' });
  }

  /** Cancels what is under way. What was sent and not answered stays in the buffer. */
  stop(): void {
    this.#dispatch({ type: 'stop' });
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** New items are in the buffer: they go at once if nothing is under way. */
  appended(highestSequence: number): void {
    const { identity } = this.#deps.buffer;
    if (Buffer.compare(identity.epoch, this.#epoch) !== 0) this.#dispatch(this.#epochOpened(identity));
    this.#dispatch({ type: 'appended', epoch: identity.epoch, highestSequence });
  }

  /** The catalogue has grown. To be called before what needs the new entries is appended. */
  catalogue(catalogue: DeviceCatalogue): void {
    this.#dispatch({ type: 'catalogue', catalogue });
  }

  /**
   * How late the uplink is with its next step, in milliseconds. Being without a network makes nothing late: the next attempt
   * has its time. What waits for the buffer has none, and is late from its beginning.
   * @param nowMs the scheduler's time
   */
  overdueMs(nowMs: number): number {
    const { wakeAtMs, state } = this.#core;
    if (wakeAtMs !== Number.POSITIVE_INFINITY) return Math.max(0, nowMs - wakeAtMs);
    const asksBuffer = state.state === 'looking' || state.state === 'comparing' || state.state === 'opening-epoch';
    return asksBuffer ? nowMs - this.#stateSinceMs : 0;
  }

  /** Ends the connection when what is under way has been answered, and makes a new one; at once where there is none. */
  reconnect(): void {
    this.#dispatch({ type: 'reconnect' });
  }

  registerAgain(): void {
    this.#dispatch({ type: 'register-again' });
  }

  /** Resolves when nothing waits any more, when there is nobody to send to, or after `timeoutMs`. */
  async drained(timeoutMs: number): Promise<void> {
    this.#dispatch({ type: 'flush' });
    if (this.#isQuiet()) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#deps.scheduler.setTimer(timeoutMs, resolve);
      this.#waiters.push(() => {
        cancel();
        resolve();
      });
    });
  }

  #isQuiet(): boolean {
    const { state } = this.#core.state;
    return state === 'idle' || state === 'stopped' || state === 'waiting' || state === 'holding';
  }

  #dispatch(event: UplinkEvent): void {
    this.#events.push(event);
    if ('counts' in event) this.#drain.sample(event.counts, this.#deps.scheduler.nowMs());
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of this.#core.step(next, this.#deps.scheduler.nowMs())) this.#carryOut(effect);
      }
    } finally {
      this.#dispatching = false;
    }
    const { state } = this.#core.state;
    if (state !== this.#stateName) {
      this.#stateName = state;
      this.#stateSinceMs = this.#deps.scheduler.nowMs();
    }
    this.#arm();
    if (this.#isQuiet()) for (const waiter of this.#waiters.splice(0)) waiter();
  }

  /** A timer that is early asks again; so one that is due before the new deadline is left as it is. */
  #arm(): void {
    const atMs = this.#core.wakeAtMs;
    if (atMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    const delayMs = Math.max(0, Math.ceil(atMs - this.#deps.scheduler.nowMs()));
    const cancel = this.#deps.scheduler.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#dispatch({ type: 'tick' });
    });
    this.#timer = { atMs, cancel };
  }

  #carryOut(effect: UplinkEffect): void {
    const { buffer } = this.#deps;
    switch (effect.type) {
      case 'connect':
        this.#connect(effect.link);
        return;
      case 'close':
        this.#close();
        return;
      case 'register':
        this.#register(effect.call, effect.request);
        return;
      case 'cancel':
        this.#calls.get(effect.id)?.();
        this.#calls.delete(effect.id);
        this.#streams.get(effect.id)?.cancel();
        this.#streams.delete(effect.id);
        return;
      case 'open':
        this.#open(effect.stream);
        return;
      case 'write':
        if (effect.header !== undefined) this.#setWatermark(effect.header, effect.oldestLive);
        this.#streams.get(effect.stream)?.write(effect.header, effect.items);
        return;
      case 'finish':
        this.#streams.get(effect.stream)?.finish();
        return;
      case 'status':
        this.#ask(effect, buffer.status(), (counts) => ({ type: 'status', call: effect.call, counts }));
        return;
      case 'read':
        this.#ask(effect, buffer.read(effect.fromSequence, effect.maxBytes, effect.maxItems), ({ items, counts }) => ({
          type: 'items',
          call: effect.call,
          items,
          counts,
        }));
        return;
      case 'acknowledge':
        this.#ask(effect, buffer.acknowledge(effect.ranges, effect.epoch), () => undefined);
        return;
      case 'in-doubt':
        this.#ask(effect, buffer.markInDoubt(effect.ranges, effect.epoch), () => undefined);
        return;
      case 'stop-sending':
        this.#ask(effect, buffer.stopSending(effect.ranges, effect.epoch), () => undefined);
        return;
      case 'quarantine':
        this.#ask(
          effect,
          buffer.quarantine(effect.sequence, effect.reason, effect.detail, effect.epoch).then(() => buffer.status()),
          ({ epoch, highestSequence }: BufferStatus) => ({ type: 'appended', epoch, highestSequence }),
        );
        return;
      case 'open-epoch':
        this.#ask(effect, buffer.openEpoch(), (identity) => this.#epochOpened(identity));
        return;
      case 'identify':
        this.#dispatch(this.#epochOpened(buffer.identity));
        return;
      case 'log':
        this.#deps.log[effect.level](effect.fields, effect.message);
        return;
    }
  }

  #epochOpened(identity: BufferIdentity): UplinkEvent {
    this.#epoch = identity.epoch;
    this.#deps.epochOpened(identity);
    return { type: 'epoch-opened', identity };
  }

  #ask<T>(effect: UplinkEffect, promise: Promise<T>, event: (value: T) => UplinkEvent | undefined): void {
    promise.then(
      (value) => {
        const next = event(value);
        if (next !== undefined) this.#dispatch(next);
      },
      (thrown: unknown) => {
        this.#dispatch({ type: 'buffer-failed', effect: effect.type, message: TributaryError.from(thrown).message });
      },
    );
  }

  #connect(id: number): void {
    try {
      const link = this.#deps.connect({
        connected: () => this.#dispatch({ type: 'connected', link: id }),
        connectFailed: (failure) => this.#dispatch({ type: 'connect-failed', link: id, failure }),
        disconnected: () => this.#dispatch({ type: 'disconnected', link: id }),
      });
      this.#link = { id, link, told: false };
    } catch (thrown) {
      // Certificates that cannot be read now may be readable at the next attempt.
      const { code, message } = TributaryError.from(thrown);
      this.#dispatch({
        type: 'connect-failed',
        link: id,
        failure: { kind: 'unauthenticated', code, message, hint: { kind: 'none' } },
      });
    }
  }

  #close(): void {
    const current = this.#link;
    this.#link = undefined;
    this.#calls.clear();
    this.#streams.clear();
    if (current === undefined) return;
    if (current.told) this.#deps.unlinked();
    current.link.close();
  }

  #register(call: number, request: RegisterRequest): void {
    const current = this.#link;
    if (current === undefined) return;
    const sentUs = this.#deps.clock.monotonicUs();
    const rulesVersion = this.#deps.rules?.version ?? '';
    const stamped = { ...request, rulesVersion, monotonicUs: sentUs, segment: this.#deps.segment() };
    const cancel = current.link.register(stamped, (result) => {
      this.#calls.delete(call);
      if (result.ok) this.#registered(call, sentUs, result.response);
      else this.#dispatch({ type: 'register-failed', call, failure: result.failure, conflict: result.conflict });
    });
    this.#calls.set(call, cancel);
  }

  #registered(call: number, sentUs: number, response: RegisterResponse): void {
    const settled = this.#deps.clocksCompared({
      sentUs,
      answeredUs: this.#deps.clock.monotonicUs(),
      collectorReceivedUs: response.receivedAtUs,
      collectorSentUs: response.sentAtUs,
    });
    if (settled === undefined) {
      this.#goOn(call, response);
      return;
    }
    settled.then(
      () => this.#goOn(call, response),
      (thrown: unknown) => {
        const { code, message } = TributaryError.from(thrown);
        const failure: GrpcOutcome = { kind: 'internal', code, message, hint: { kind: 'none' } };
        this.#dispatch({ type: 'register-failed', call, failure, conflict: false });
      },
    );
  }

  #goOn(call: number, response: RegisterResponse): void {
    this.#deps.rules?.registered(response);
    this.#dispatch({ type: 'registered', call, response });
    if (this.#link === undefined || this.#link.told) return;
    this.#link.told = true;
    this.#deps.linked(this.#link.link, response.alertCursor);
  }

  #open(id: number): void {
    const current = this.#link;
    if (current === undefined) return;
    const over = () => this.#streams.delete(id);
    const stream = current.link.upload({
      writable: () => this.#dispatch({ type: 'writable', stream: id }),
      answered: (response) => {
        over();
        this.#dispatch({ type: 'answered', stream: id, response });
      },
      failed: (failure) => {
        over();
        this.#dispatch({ type: 'stream-failed', stream: id, failure });
      },
    });
    this.#streams.set(id, stream);
  }

  /** A watermark never goes back; while a new one is not known the old one still holds. */
  #setWatermark(header: UploadHeader, oldestLive: number | undefined): void {
    const now = this.#deps.watermark(oldestLive);
    const last = this.#lastWatermark;
    if (now !== undefined && (now.segment !== last.segment || now.us > last.us)) this.#lastWatermark = now;
    header.watermarkSegment = this.#lastWatermark.segment;
    header.watermarkUs = this.#lastWatermark.us;
  }
}
