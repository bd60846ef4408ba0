import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Batcher } from '../batching/batcher.js';
import type { BatchWriter } from './batch-writer.js';

export interface BatchTimerDeps {
  batcher: Batcher;
  writer: BatchWriter;
  clock: Clock;
  scheduler: Scheduler;
}

/** Batches that come of age within this are closed together: fewer wake-ups, and nobody sees the difference. */
const coarseUs = 2000;

/** The batcher's only timer: closes batches that have come of age, and has them written. */
export class BatchTimer {
  readonly #deps: BatchTimerDeps;
  #isWoken = false;
  #isStopped = false;
  #timer: { atUs: number; cancel: () => void } | undefined;

  constructor(deps: BatchTimerDeps) {
    this.#deps = deps;
  }

  /** There is something to do soon. Called from inside the batcher, so it is not done at once. */
  wake(): void {
    if (this.#isWoken || this.#isStopped) return;
    this.#isWoken = true;
    queueMicrotask(() => {
      this.#isWoken = false;
      this.#deps.writer.pump();
      this.#arm();
    });
  }

  /** How late it is with closing a batch, in milliseconds. */
  get overdueMs(): number {
    const { clock } = this.#deps;
    return this.#timer === undefined ? 0 : Math.max(0, (clock.monotonicUs() - this.#timer.atUs) / 1000);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** A timer that is early looks again; so one that is due before the deadline is left as it is. */
  #arm(): void {
    const { batcher, clock, scheduler } = this.#deps;
    const atUs = batcher.nextDeadlineUs();
    if (atUs === undefined || this.#isStopped) return;
    if (this.#timer !== undefined && this.#timer.atUs <= atUs) return;
    this.#timer?.cancel();
    const delayMs = Math.max(1, Math.ceil((atUs - clock.monotonicUs()) / 1000));
    const cancel = scheduler.setTimer(delayMs, () => {
      this.#timer = undefined;
      batcher.tick(clock.monotonicUs() + coarseUs);
      this.#deps.writer.pump();
      this.#arm();
    });
    this.#timer = { atUs, cancel };
  }
}
