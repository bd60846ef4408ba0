import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import { logAlert } from './log-alert.js';

/** What surrounds the desk. */
export interface AlertDeskDeps {
  buffer: EdgeBuffer;
  log: Logger;
}

/** Where alerts come in, whoever judged them: the collector, in the order of their numbers, or this device itself. */
export class AlertDesk {
  readonly #deps: AlertDeskDeps;

  constructor(deps: AlertDeskDeps) {
    this.#deps = deps;
  }

  /**
   * Takes transitions of incidents. Those that are new are stored in one transaction with what is to be done about them, and
   * are done then, in this order; it resolves with them once they are stored, and waits for no action. An incident's state is
   * taken once, so an incident that this device has judged itself (number 0) may come again with its number from the
   * collector: the cursor moves, and nothing is done twice.
   *
   * Rejects with a `TributaryError` when the buffer cannot be written. Nothing was done then, and nothing will be until the
   * call is made again.
   */
  async take(alerts: readonly Alert[]): Promise<Alert[]> {
    const stored = await this.#deps.buffer.storeAlerts(alerts, []);
    const fresh = stored.fresh.map((at) => alerts[at]);
    for (const alert of fresh) logAlert(this.#deps.log, alert);
    return fresh;
  }
}
