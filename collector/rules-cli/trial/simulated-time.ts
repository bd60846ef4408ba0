import type { Clock, Scheduler } from '@tributary/core/clock/clock';

interface Timer {
  dueMs: number;
  fire: () => void;
}

/** A clock and its timers, whose time passes only when it is told to. */
export class SimulatedTime implements Clock, Scheduler {
  readonly #startUs: number;
  readonly #timers = new Set<Timer>();
  #nowMs = 0;

  /** `startUs` is the wall clock at the beginning, microseconds since the Unix epoch. */
  constructor(startUs: number) {
    this.#startUs = startUs;
  }

  wallUs(): number {
    return this.#startUs + this.#nowMs * 1000;
  }

  monotonicUs(): number {
    return this.#nowMs * 1000;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass until `untilMs`; timers fire in order, each at its own time, and `settle` ends what each began. */
  async passUntil(untilMs: number, settle: () => Promise<void>): Promise<void> {
    for (let next = this.#first(untilMs); next !== undefined; next = this.#first(untilMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #first(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (first === undefined || timer.dueMs < first.dueMs)) first = timer;
    }
    return first;
  }
}
