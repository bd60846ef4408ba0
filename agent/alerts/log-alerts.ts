import { type Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import type { AlertHandler } from './alert-handler.js';

/** Writes alerts into the agent's log: firing as a warning, everything else as information. */
export class LogAlerts implements AlertHandler {
  readonly name = 'log';
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  handle(alert: Alert): void {
    const fields = {
      alert: alert.number,
      incident: Buffer.from(alert.incidentId).toString('hex'),
      rule: alert.rule,
      severity: alert.severity,
      series: alert.seriesName,
      seriesLabels: alert.seriesLabels,
      value: alert.value,
      unit: alert.seriesUnit,
      startedAt: isoTime(alert.startedAtUs),
      transitionAt: isoTime(alert.transitionAtUs),
      late: alert.late,
      annotations: alert.annotations,
    };
    const state = (AlertState[alert.state] ?? 'unknown').toLowerCase();
    if (alert.state === AlertState.FIRING && !alert.late) this.#log.warn(fields, `alert ${alert.rule} is ${state}`);
    else this.#log.info(fields, `alert ${alert.rule} is ${state}`);
  }
}

/** A time that no Date can hold is shown as its number: the log must not fail because of what a peer sends. */
function isoTime(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? `${us} us` : date.toISOString();
}
