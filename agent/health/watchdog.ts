import type { Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Logger } from 'pino';
import type { Progress } from './progress.js';

export interface WatchdogDeps {
  scheduler: Scheduler;
  log: Logger;
  /** How often progress is looked at: a third of what the service manager waits, so that one look may be slow. */
  everyMs: number;
  /** Resolves when every part that can be asked has answered. */
  progress(): Promise<Progress>;
  /** Tells the service manager that the agent gets on. */
  pet(summary: string): void;
}

/**
 * Tells the service manager that the agent gets on, for as long as it does. A part that is stuck, a buffer thread that does
 * not answer and an event loop that does not turn all end in silence, upon which the service manager starts the agent anew.
 */
export class Watchdog {
  readonly #deps: WatchdogDeps;
  #cancel: (() => void) | undefined;
  #askedMs: number | undefined;

  constructor(deps: WatchdogDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { scheduler, everyMs } = this.#deps;
    this.#cancel = scheduler.setTimer(everyMs, () => {
      this.start();
      void this.#look();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { scheduler, log, progress, pet } = this.#deps;
    if (this.#askedMs !== undefined) {
      const seconds = Math.round((scheduler.nowMs() - this.#askedMs) / 1000);
      log.warn({ why: `the buffer thread has not answered for ${seconds} s` }, 'the agent is stuck');
      return;
    }
    this.#askedMs = scheduler.nowMs();
    try {
      const { stuck, summary } = await progress();
      if (stuck === undefined) pet(summary);
      else log.warn({ why: stuck }, 'the agent is stuck');
    } catch (thrown) {
      log.warn({ why: TributaryError.from(thrown).message }, 'the agent is stuck');
    } finally {
      this.#askedMs = undefined;
    }
  }
}
