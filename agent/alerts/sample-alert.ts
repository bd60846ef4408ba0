import { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { FIRING } from './alert-state.js';

/** For tests: an alert about the temperature of a room, as a collector sends it. The number of the incident makes its id. */
export function sampleAlert(incident: number, change: Partial<Alert> = {}): Alert {
  const incidentId = new Uint8Array(16);
  new DataView(incidentId.buffer).setUint32(12, incident);
  return {
    ...Alert.decode(new Uint8Array(0)),
    incidentId,
    state: FIRING,
    rule: 'too-warm',
    ruleVersion: '1',
    severity: 'critical',
    device: 'pump-3',
    seriesName: 'temperature',
    seriesUnit: 'Cel',
    seriesLabels: { room: 'cellar-2' },
    value: 51.5,
    startedAtUs: 1_767_225_600_000_000,
    transitionAtUs: 1_767_225_601_000_000,
    labels: { team: 'night' },
    annotations: { summary: 'it is too warm' },
    ...change,
  };
}
