import { type Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';

/** 2026-11-26T12:00:00Z, in microseconds. */
export const STARTED_US = Date.UTC(2026, 10, 26, 12) * 1000;

/** An alert that fires, for tests. */
export function alertOf(changes: Partial<Alert> = {}): Alert {
  return {
    number: 1,
    late: false,
    retracted: false,
    incidentId: new Uint8Array(16).fill(0xab),
    state: AlertState.FIRING,
    rule: 'hot',
    ruleVersion: '0011223344556677',
    severity: 'critical',
    device: 'pump-1',
    seriesName: 'temperature',
    seriesUnit: 'Cel',
    seriesLabels: { room: 'a' },
    value: 81.5,
    startedAtUs: STARTED_US,
    transitionAtUs: STARTED_US + 60_000_001,
    labels: { team: 'plant' },
    annotations: { summary: 'pump-1 is hot' },
    authority: RuleAuthority.COLLECTOR,
    ...changes,
  };
}
