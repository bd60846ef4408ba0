import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { RecordedAlert } from './trial-collector.js';

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

/** What fires as the collector knew it at a moment, in the order in which it began to. */
export function firingAt(records: readonly RecordedAlert[], atMs: number, startUs: number): AlertView[] {
  const incidents = new Map<string, { view: AlertView; hasEnded: boolean }>();
  for (const record of records) {
    if (record.recordedMs > atMs) continue;
    const { alert, device } = record;
    const key = `${device}/${Buffer.from(alert.incidentId).toString('hex')}`;
    const known = incidents.get(key);
    const { to, at, recordedAt, ...view } = transitionView(record, startUs);
    if (to === 'firing') {
      // Late news of an incident that was told of corrects its beginning, and opens none that has ended.
      const late = view.late && (known?.view.late ?? true);
      const hasEnded = view.late && (known?.hasEnded ?? false);
      incidents.set(key, { view: { ...view, late }, hasEnded });
    } else if (known !== undefined) {
      known.hasEnded = true;
    }
  }
  return [...incidents.values()].filter(({ hasEnded }) => !hasEnded).map(({ view }) => view);
}
