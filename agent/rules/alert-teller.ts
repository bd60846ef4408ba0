import type { Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';

/** One transaction for so many at the most: each alert is at most some kilobytes. */
const ALERTS_AT_ONCE = 32;

/** A disk that refuses an alert is asked again this often. */
const RETRY_MS = 1000;

export interface AlertTellerDeps {
  scheduler: Scheduler;
  log: Logger;
  /** Rejects where the alerts could not be stored; nothing was done then. */
  act(alerts: readonly Alert[]): Promise<unknown>;
}

interface Waiting {
  alert: Alert;
  told: () => void;
}

/** Hands alerts of this device's own to whoever acts upon them: in order, each until it was taken. */
export class AlertTeller {
  readonly #deps: AlertTellerDeps;
  readonly #waiting: Waiting[] = [];
  #telling: Promise<void> | undefined;

  constructor(deps: AlertTellerDeps) {
    this.#deps = deps;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** `told` is called when the alert was taken. */
  tell(alert: Alert, told: () => void): void {
    this.#waiting.push({ alert, told });
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
    });
  }

  /** Resolves when nothing waits any more, or what waits was refused. */
  async settled(): Promise<void> {
    await this.#telling;
  }

  async #tellAll(): Promise<void> {
    const { act, log, scheduler } = this.#deps;
    // Those of one judgement in one transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const some = this.#waiting.slice(0, ALERTS_AT_ONCE);
      try {
        await act(some.map(({ alert }) => alert));
      } catch (thrown) {
        log.error(
          { details: TributaryError.from(thrown).message, retryInMs: RETRY_MS },
          'alerts cannot be acted upon yet',
        );
        scheduler.setTimer(RETRY_MS, () => {
          this.#telling ??= this.#tellAll().finally(() => {
            this.#telling = undefined;
          });
        });
        return;
      }
      this.#waiting.splice(0, some.length);
      for (const { told } of some) told();
    }
  }
}
