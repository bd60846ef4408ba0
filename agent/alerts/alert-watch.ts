import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff } from '@tributary/core/retry/backoff';
import type { Alert, WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import type { UplinkLink, WatchCall } from '../uplink/uplink-link.js';
import type { AlertDesk } from './alert-desk.js';

/** More alerts than this in memory and the stream is held back; the collector ends a stream that does not read. */
const pendingMax = 64;

/** One transaction for so many at the most: each alert is at most some kilobytes. */
const storeMax = 32;

/** The first wait is short because a stream's regular end (rotation, a draining collector) is no failure. */
const backoffPolicy = { baseMs: 1000, capMs: 60_000 };

/** A stream that lasted so long was sound; its end starts the waits anew. */
const soundMs = 30_000;

/** What surrounds the watch. */
export interface AlertWatchDeps {
  desk: Pick<AlertDesk, 'take'>;
  scheduler: Scheduler;
  random: Random;
  log: Logger;
  /** The collector wants the device to register. */
  registerAgain(): void;
}

export interface AlertCounters {
  /** Transitions that this device had not stored before. */
  received: number;
  /** Those that came again. */
  repeated: number;
}

/**
 * Follows the alerts about this device: brings them to the desk, which stores them, then acknowledges. The cursor lies in the
 * buffer and moves in the transaction that stores, so a device that was away misses none.
 */
export class AlertWatch {
  readonly counters: AlertCounters = { received: 0, repeated: 0 };
  readonly #deps: AlertWatchDeps;
  readonly #backoff: Backoff;
  #cursor: number;
  #acknowledged = 0;
  #link: UplinkLink | undefined;
  #call: WatchCall | undefined;
  #startedMs = 0;
  #paused = false;
  #pending: Alert[] = [];
  #storing = false;
  #acknowledging = false;
  #cancelTimer: (() => void) | undefined;

  /** `cursor` is the number of the newest alert in the buffer. */
  constructor(cursor: number, deps: AlertWatchDeps) {
    this.#cursor = cursor;
    this.#deps = deps;
    this.#backoff = new Backoff(deps.random, backoffPolicy);
  }

  /** The newest alert that is stored here, or was in an earlier life of this device. */
  get cursor(): number {
    return this.#cursor;
  }

  /**
   * Watches over this link until `detach`. `acknowledged` is the number up to which the collector knows that this device has
   * stored its alerts: a buffer that is new, or older than that, begins there, for what came before was done in an earlier life.
   */
  attach(link: UplinkLink, acknowledged: number): void {
    this.detach();
    this.#link = link;
    this.#cursor = Math.max(this.#cursor, acknowledged);
    this.#acknowledged = 0;
    this.#watch();
    this.#acknowledge();
  }

  /** The link is closed or about to be. */
  detach(): void {
    this.#link = undefined;
    this.#acknowledging = false;
    this.#cancel();
  }

  #cancel(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#call?.cancel();
    this.#call = undefined;
    this.#paused = false;
    this.#pending = [];
  }

  #watch(): void {
    if (this.#link === undefined) return;
    this.#startedMs = this.#deps.scheduler.nowMs();
    this.#call = this.#link.watchAlerts(this.#cursor, {
      message: (message) => this.#message(message),
      ended: (failure) => this.#ended(failure?.message),
    });
  }

  #ended(why: string | undefined): void {
    const { scheduler, log } = this.#deps;
    if (this.#link === undefined) return;
    if (scheduler.nowMs() - this.#startedMs >= soundMs) this.#backoff.succeeded();
    const retryInMs = this.#backoff.failed();
    if (why === undefined) log.debug({ retryInMs }, 'the alert stream has ended');
    else log.info({ retryInMs, details: why }, 'the alert stream has broken');
    this.#cancel();
    this.#cancelTimer = scheduler.setTimer(retryInMs, () => this.#watch());
  }

  #message({ message }: WatchAlertsResponse): void {
    switch (message?.$case) {
      case 'alert':
        if (message.value.number > this.#cursor) this.#pending.push(message.value);
        if (this.#pending.length >= pendingMax && !this.#paused) {
          this.#paused = true;
          this.#call?.pause();
        }
        if (!this.#storing) void this.#store();
        return;
      case 'rulesChanged':
      case 'registerAgain':
        this.#deps.registerAgain();
        return;
      default:
        // A later version's message, which this one does not know.
        return;
    }
  }

  /** Never rejects: whatever happens ends in a log line and another attempt. */
  async #store(): Promise<void> {
    this.#storing = true;
    while (this.#pending.length > 0) {
      const alerts = this.#pending.splice(0, storeMax);
      try {
        const fresh = await this.#deps.desk.take(alerts);
        this.counters.received += fresh.length;
        this.counters.repeated += alerts.length - fresh.length;
        for (const { number } of alerts) this.#cursor = Math.max(this.#cursor, number);
      } catch (thrown) {
        // The cursor has not moved: the stream begins anew from there.
        this.#ended(`alerts cannot be stored: ${TributaryError.from(thrown).message}`);
        break;
      }
      this.#acknowledge();
      if (this.#paused && this.#pending.length < pendingMax / 2) {
        this.#paused = false;
        this.#call?.resume();
      }
    }
    this.#storing = false;
  }

  /** One acknowledgement at a time; a later one covers those before it, so a lost one needs no repetition of its own. */
  #acknowledge(): void {
    const link = this.#link;
    const cursor = this.#cursor;
    if (link === undefined || this.#acknowledging || cursor <= this.#acknowledged) return;
    this.#acknowledging = true;
    link.acknowledgeAlerts(cursor, (result) => {
      if (this.#link !== link) return;
      this.#acknowledging = false;
      if (!result.ok) return;
      this.#acknowledged = cursor;
      this.#acknowledge();
    });
  }
}
