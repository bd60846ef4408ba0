import type { Random } from '@tributary/core/clock/random';
import type { BufferIdentity } from '../buffer/buffer.js';
import type { RegistrationOptions } from './registration.js';
import type { ConnectionState, UplinkCounters, UplinkEffect, UplinkEvent, UplinkState } from './uplink-events.js';
import { assertUplinkLimits, type UplinkLimits, uplinkLimits } from './uplink-limits.js';
import { UplinkOutbox } from './uplink-outbox.js';
import { UplinkSession } from './uplink-session.js';
import { UplinkTrouble } from './uplink-trouble.js';

/** What the uplink is told once, at the start. */
export interface UplinkCoreOptions extends RegistrationOptions {
  random: Random;
  identity: BufferIdentity;
  limits?: Partial<UplinkLimits>;
}

/**
 * The uplink without any input or output: events and monotonic time in, effects out. It promises that
 *
 * - nothing is uploaded before Register has answered on this connection;
 * - only what a collector called durable is acknowledged to the buffer, and only if it was sent in that stream, or if
 *   Register's answer was checked against the buffer's own row;
 * - no item is in two streams at once; each lane writes one stream at a time, in order of sequence, with at most one message
 *   not yet taken by the connection and one read ahead; the live lane waits for no backfill;
 * - an epoch that a copy of this buffer has used is left only after each item that the copy may have sent has got its
 *   verdict, so that a fork neither loses an item nor stores one twice.
 *
 * This class has the connection: stopped, waiting, connecting. What happens on one is the session's.
 */
export class UplinkCore {
  readonly counters: UplinkCounters = {
    connects: 0,
    connectFailures: 0,
    registrations: 0,
    streamsAnswered: 0,
    streamsDeferred: 0,
    streamsBroken: 0,
    itemsAcknowledged: 0,
    itemsRejected: 0,
    itemsForked: 0,
    epochsOpened: 0,
    itemsForgotten: 0,
    lastSuccessMs: undefined,
  };

  readonly #random: Random;
  readonly #limits: UplinkLimits;
  readonly #outbox = new UplinkOutbox();
  readonly #trouble: UplinkTrouble;
  readonly #session: UplinkSession;
  #state: ConnectionState = { state: 'stopped' };

  /** Throws when the limits contradict each other. */
  constructor(options: UplinkCoreOptions) {
    this.#random = options.random;
    this.#limits = { ...uplinkLimits, ...options.limits };
    assertUplinkLimits(this.#limits);
    this.#trouble = new UplinkTrouble(this.#outbox, this.#random, this.#limits);
    this.#session = new UplinkSession(options, this.#limits, {
      outbox: this.#outbox,
      trouble: this.#trouble,
      counters: this.counters,
      drop: (delayMs, why) => this.#wait(delayMs, why),
      dropped: () => this.#dropped(),
    });
  }

  get state(): UplinkState {
    return this.#session.state ?? this.#state;
  }

  /** When the next `tick` is due, in the time that `step` is given; infinite while only another event can go on. */
  get wakeAtMs(): number {
    if (this.#session.link !== undefined) return this.#session.wakeAtMs;
    switch (this.#state.state) {
      case 'waiting':
        return this.#state.untilMs;
      case 'connecting':
        return this.#state.deadlineMs;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** Takes one event at a monotonic time and says what to do. Events of links, calls and streams that are over do nothing. */
  step(event: UplinkEvent, nowMs: number): UplinkEffect[] {
    this.#outbox.begin(nowMs);
    this.#take(event);
    return this.#outbox.effects;
  }

  #take(event: UplinkEvent): void {
    const state = this.#state;
    switch (event.type) {
      case 'start':
        if (this.state.state === 'stopped') this.#connect();
        return;
      case 'stop':
        this.#close();
        this.#state = { state: 'stopped' };
        return;
      case 'tick':
        if (this.#outbox.nowMs >= this.wakeAtMs) this.#tick();
        return;
      case 'connected':
        if (this.#isConnecting(event.link)) this.#connected(event.link);
        return;
      case 'connect-failed': {
        if (!this.#isConnecting(event.link)) return;
        this.counters.connectFailures++;
        const { delayMs, why } = this.#trouble.failed(event.failure, 'cannot connect to the collector');
        this.#wait(delayMs, why);
        return;
      }
      case 'disconnected':
        if (this.#session.link === event.link) this.#session.disconnected();
        else if (state.state === 'connecting' && state.link === event.link) this.#dropped();
        return;
      case 'reconnect':
        if (this.#session.link !== undefined) this.#session.disconnected();
        else if (state.state === 'connecting') this.#dropped();
        else if (state.state === 'waiting') this.#wait(0, 'told to connect anew');
        return;
      default:
        this.#session.take(event);
    }
  }

  #isConnecting(link: number): boolean {
    const state = this.state;
    return state.state === 'connecting' && state.link === link;
  }

  #tick(): void {
    if (this.#session.link !== undefined) this.#session.tick();
    else if (this.#state.state === 'waiting') this.#connect();
    else if (this.#state.state === 'connecting') {
      this.counters.connectFailures++;
      const why = 'the connection to the collector was not ready in time';
      this.#wait(this.#trouble.happened('warn', why, { afterMs: this.#limits.connectMs }), why);
    }
  }

  #connect(): void {
    const link = this.#outbox.id();
    this.#state = { state: 'connecting', link, deadlineMs: this.#outbox.nowMs + this.#limits.connectMs };
    this.#outbox.effect({ type: 'connect', link });
  }

  #connected(link: number): void {
    this.counters.connects++;
    this.#outbox.log('info', 'connected to the collector', {});
    this.#session.begin(link);
  }

  #close(): void {
    const { state } = this;
    this.#session.end();
    if ('link' in state) this.#outbox.effect({ type: 'close', link: state.link });
  }

  #wait(delayMs: number, why: string): void {
    this.#close();
    this.#state = { state: 'waiting', untilMs: this.#outbox.nowMs + delayMs, why };
  }

  /** grpc-js connects again at once and without jitter, and so would a whole fleet. */
  #dropped(): void {
    const delayMs = this.#random() * this.#limits.droppedJitterMs;
    const why = 'the connection to the collector has ended';
    this.#outbox.log('info', why, { retryInMs: Math.round(delayMs) });
    this.#wait(delayMs, why);
  }
}
