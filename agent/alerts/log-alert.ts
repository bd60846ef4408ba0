import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import { FIRING, stateName } from './alert-state.js';

/** Writes an alert into the agent's log: firing as a warning, everything else as information. */
export function logAlert(log: Logger, alert: Alert): void {
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
  const text = `alert ${alert.rule} is ${stateName(alert.state)}`;
  if (alert.state === FIRING && !alert.late) log.warn(fields, text);
  else log.info(fields, text);
}

/** A time that no Date can hold is shown as its number: the log must not fail because of what a peer sends. */
function isoTime(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? `${us} us` : date.toISOString();
}
