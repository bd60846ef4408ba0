import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { AlertRecord, Store } from '../store/store.js';

/** Alerts of one transaction: enough to be cheap, few enough not to hold up commits. */
const APPEND_MAX = 500;
/** A store that is away is asked again about this often. */
const RETRY_MS = 1000;

export interface AlertOutboxOptions {
  store: Pick<Store, 'appendAlerts'>;
  clock: Pick<Clock, 'wallUs'>;
  scheduler: Scheduler;
  /** A device has new alerts. */
  wake: (deviceId: number) => void;
  failed: (error: unknown) => void;
}

/**
 * Alerts on their way into the store, in order. Storing one twice changes nothing, so a failed attempt is repeated. What
 * is lost with the process is found again, under the same ids, when the commits are replayed.
 */
export class AlertOutbox {
  /** Alerts that the store took. */
  stored = 0;

  readonly #options: AlertOutboxOptions;
  readonly #waiting: AlertRecord[] = [];
  readonly #emptied: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #busy = false;
  #isLast = false;
  #endPause: (() => void) | undefined;

  constructor(options: AlertOutboxOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiting.length;
  }

  push(record: AlertRecord): void {
    this.#waiting.push(record);
    this.#begin();
  }

  /** Resolves when everything that was pushed before is stored; rejects when the last attempt fails. */
  drained(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    this.#begin();
    return new Promise((resolve, reject) => this.#emptied.push({ resolve, reject }));
  }

  /** Tries what waits once more, now; what is not stored then is found again at the next start. */
  lastAttempt(): void {
    this.#isLast = true;
    this.#endPause?.();
  }

  #begin(): void {
    if (this.#busy) return;
    this.#busy = true;
    // Later in this turn: one commit's alerts then go in one transaction.
    queueMicrotask(() => void this.#drain());
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, APPEND_MAX);
      try {
        const added = await this.#options.store.appendAlerts(batch, this.#options.clock.wallUs());
        this.#waiting.splice(0, batch.length);
        this.stored += added.length;
        this.#wake(batch);
      } catch (error) {
        this.#options.failed(error);
        if (this.#isLast) {
          for (const { reject } of this.#emptied.splice(0)) reject(error);
          break;
        }
        await this.#pause();
      }
    }
    this.#busy = false;
    if (this.#waiting.length === 0) for (const { resolve } of this.#emptied.splice(0)) resolve();
  }

  /** All of them, not the added alone: an attempt that failed may have stored some, and a wake too many changes nothing. */
  #wake(batch: readonly AlertRecord[]): void {
    const devices = new Set<number>();
    for (const { deviceId, alert } of batch) if (!alert.late) devices.add(deviceId);
    for (const deviceId of devices) this.#options.wake(deviceId);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.scheduler.setTimer(RETRY_MS, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }
}
