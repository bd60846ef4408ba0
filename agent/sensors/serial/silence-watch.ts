import type { Scheduler } from '@tributary/core/clock/clock';

/**
 * Says when a device has been silent for too long, and when it speaks again. One timer that is set again when it fires, so
 * that a line costs a look at the clock and no timer.
 */
export class SilenceWatch {
  readonly #afterMs: number;
  readonly #scheduler: Scheduler;
  readonly #onChange: (silent: boolean) => void;
  #heardMs = 0;
  #silent = false;
  #cancel: (() => void) | undefined;

  constructor(afterMs: number, scheduler: Scheduler, onChange: (silent: boolean) => void) {
    this.#afterMs = afterMs;
    this.#scheduler = scheduler;
    this.#onChange = onChange;
  }

  /** A line has arrived, or the port was opened. */
  heard(): void {
    this.#heardMs = this.#scheduler.nowMs();
    if (this.#silent) {
      this.#silent = false;
      this.#onChange(false);
    }
    if (this.#cancel === undefined) this.#arm(this.#afterMs);
  }

  /** Silence is normal from here until the next `heard`. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#silent = false;
  }

  #arm(delayMs: number): void {
    this.#cancel = this.#scheduler.setTimer(delayMs, () => {
      this.#cancel = undefined;
      const remainingMs = this.#heardMs + this.#afterMs - this.#scheduler.nowMs();
      if (remainingMs > 0) {
        this.#arm(remainingMs);
        return;
      }
      this.#silent = true;
      this.#onChange(true);
    });
  }
}
