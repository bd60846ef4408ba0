import type { LogLevel } from '@tributary/core/log/logger';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import { alertMatcher } from './action.js';
import { FIRING, stateName } from './alert-state.js';
import type { AlertActionConfig } from './schema.js';

/**
 * Writes alerts into the agent's log: at the level of the first `log` action that matches, else firing as a warning and
 * everything else as information.
 */
export class AlertLog {
  readonly #log: Logger;
  readonly #levels: { matches: (alert: Alert) => boolean; level: LogLevel }[];

  constructor(configs: readonly AlertActionConfig[], log: Logger) {
    this.#log = log;
    this.#levels = configs.flatMap(({ match, log: own }) =>
      own === undefined ? [] : [{ matches: alertMatcher(match), level: own.level }],
    );
  }

  write(alert: Alert): void {
    const level = this.#levels.find(({ matches }) => matches(alert))?.level ?? levelOf(alert);
    if (level === 'silent') return;
    this.#log[level](fieldsOf(alert), `alert ${alert.rule} is ${stateName(alert.state)}`);
  }
}

function levelOf(alert: Alert): LogLevel {
  return alert.state === FIRING && !alert.late ? 'warn' : 'info';
}

function fieldsOf(alert: Alert): Record<string, unknown> {
  return {
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
}

/** A time that no Date can hold is shown as its number: the log must not fail because of what a peer sends. */
export function isoTime(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? `${us} us` : date.toISOString();
}
