import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff } from '@tributary/core/retry/backoff';
import type { Logger } from 'pino';
import type { IntentOutcome, StoredStatus } from '../buffer/alert-table.js';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';

/** A disk that refuses is asked as often as elsewhere: an attempt is cheap, and what waits is small. */
const retryPolicy = { baseMs: 500, capMs: 5_000 };

export interface OutcomeWriterDeps {
  buffer: Pick<EdgeBuffer, 'settleIntents'>;
  scheduler: Scheduler;
  random: Random;
  log: Logger;
}

/**
 * Writes down what became of intents, several in one transaction while the one before is under way. While the disk refuses they
 * wait in memory: there are no more of them than intents that wait. After a crash in that time `onCrash` decides.
 */
export class OutcomeWriter {
  readonly #deps: OutcomeWriterDeps;
  readonly #backoff: Backoff;
  #outcomes: IntentOutcome[] = [];
  #statuses = new Map<string, StoredStatus>();
  #writing: Promise<void> | undefined;
  #wake = () => {};
  #isClosing = false;

  constructor(deps: OutcomeWriterDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.random, retryPolicy);
  }

  /** What became of an intent, and the status that it has set. */
  write(outcome: IntentOutcome, status?: StoredStatus): void {
    this.#outcomes.push(outcome);
    if (status !== undefined) this.#statuses.set(status.name, status);
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when all is written, or the disk has refused it. Nothing is tried again later. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#wake();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#outcomes.length > 0) {
      const outcomes = this.#outcomes;
      const statuses = this.#statuses;
      this.#outcomes = [];
      this.#statuses = new Map();
      try {
        await this.#deps.buffer.settleIntents(outcomes, [...statuses.values()]);
        this.#backoff.succeeded();
      } catch (thrown) {
        this.#outcomes = [...outcomes, ...this.#outcomes];
        this.#statuses = new Map([...statuses, ...this.#statuses]);
        const details = TributaryError.from(thrown).message;
        this.#deps.log.warn(
          { details, outcomes: this.#outcomes.length },
          'what became of alert actions is not stored yet',
        );
        if (this.#isClosing) return;
        await this.#pause(this.#backoff.failed());
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#deps.scheduler.setTimer(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
