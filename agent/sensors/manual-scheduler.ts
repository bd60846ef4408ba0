import type { Scheduler } from '@tributary/core/clock/clock';

interface Timer {
  dueMs: number;
  fire: () => void;
}

/** A scheduler whose time passes only when it is told to, for tests. */
export class ManualScheduler implements Scheduler {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass; timers fire in order, each at its own time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#timers].filter(({ dueMs }) => dueMs <= untilMs);
      if (due.length === 0) break;
      const next = due.reduce((first, timer) => (timer.dueMs < first.dueMs ? timer : first));
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
    }
    this.#nowMs = untilMs;
  }
}
