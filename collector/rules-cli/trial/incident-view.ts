import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { FiringIncident, RecordedAlert } from './trial-collector.js';

/** An alert in the terms of a trial: times are milliseconds from its beginning. */
export interface AlertView {
  rule: string;
  device: string;
  series: string;
  severity: string;
  value: number;
  startedAt: number;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** History: nobody was notified. */
  late: boolean;
}

/** A transition in the terms of a trial. */
export interface TransitionView extends AlertView {
  to: 'firing' | 'resolved' | 'retracted';
  /** Event time. */
  at: number;
  /** The collector's clock. */
  recordedAt: number;
}

/** A record as the transition that it is. */
export function transitionView({ alert, recordedMs, device }: RecordedAlert, startUs: number): TransitionView {
  const offset = (us: number) => (us - startUs) / 1000;
  const fires = alert.state === AlertState.FIRING;
  return {
    to: fires ? 'firing' : alert.retracted ? 'retracted' : 'resolved',
    at: offset(alert.transitionAtUs),
    recordedAt: recordedMs,
    rule: alert.rule,
    device,
    series: alert.seriesName,
    severity: alert.severity,
    value: alert.value,
    startedAt: offset(alert.startedAtUs),
    labels: alert.labels,
    annotations: alert.annotations,
    late: alert.late,
  };
}

/** An incident that fires, as a trial tells of it. */
export function firingView({ alert, device, startedAtUs, isNotified }: FiringIncident, startUs: number): AlertView {
  return {
    rule: alert.rule,
    device,
    series: alert.seriesName,
    severity: alert.severity,
    value: alert.value,
    startedAt: (startedAtUs - startUs) / 1000,
    labels: alert.labels,
    annotations: alert.annotations,
    late: !isNotified,
  };
}
