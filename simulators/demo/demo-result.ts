import { type Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import type { DemoDevice } from './demo-device.js';

/** The end of the demo: what the agents counted, against what the collector's audit found. */
export interface DemoResult {
  produced: number;
  stored: number;
  declared: number;
  missing: number;
  duplicates: number;
  outages: number;
  alertsFired: number;
  alertsDelivered: number;
  /** Incidents that devices have judged themselves: those that they acted upon, and those that the collector has. */
  deviceIncidents: number;
  deviceIncidentsAdopted: number;
  /** Of their beginnings, those that were acted upon while the collector was cut off. */
  actedWhileCutOff: number;
  /** Transitions that a device acted upon more than once. */
  actedTwice: number;
}

/**
 * `produced` is what the agents said when they ended, and so does not come from the collector that is judged by it. `acted` is
 * what devices did by themselves, `STATE INCIDENT` each.
 */
export function demoResult(
  devices: readonly DemoDevice[],
  epochs: readonly EpochAudit[],
  outages: number,
  alerts: readonly Alert[],
  acted: readonly string[],
  actedWhileCutOff: number,
): DemoResult {
  const sum = (of: (epoch: EpochAudit) => number) => epochs.reduce((total, epoch) => total + of(epoch), 0);
  const produced = devices.reduce((total, device) => total + device.produced, 0);
  const stored = sum((epoch) => epoch.stored);
  const declared = sum((epoch) => epoch.declared.reduce((total, { readings }) => total + readings, 0));
  return {
    produced,
    stored,
    declared,
    missing: produced - stored - declared,
    duplicates: sum((epoch) => epoch.doubled),
    outages,
    alertsFired: alerts.filter(isToldByCollector).length,
    alertsDelivered: devices.reduce((total, device) => total + device.alertsFiring, 0),
    deviceIncidents: new Set(acted.map((line) => line.split(' ')[1])).size,
    deviceIncidentsAdopted: new Set(
      alerts.filter(isOfDevice).map(({ incidentId }) => Buffer.from(incidentId).toString('hex')),
    ).size,
    actedWhileCutOff,
    actedTwice: acted.length - new Set(acted).size,
  };
}

function isOfDevice({ authority }: Alert): boolean {
  return authority === RuleAuthority.DEVICE;
}

function isToldByCollector(alert: Alert): boolean {
  return alert.state === AlertState.FIRING && !alert.late && !isOfDevice(alert);
}

export function printResult(result: DemoResult, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(result));
    return;
  }
  const verdict =
    result.missing === 0 && result.duplicates === 0
      ? 'every reading is accounted for, none twice'
      : 'NOT every reading is accounted for exactly once';
  console.log('\nThe audit');
  console.log(`  read by the agents       ${result.produced}`);
  console.log(`  stored by the collector  ${result.stored}`);
  console.log(`  declared as lost         ${result.declared}`);
  console.log(`  missing                  ${result.missing}`);
  console.log(`  stored twice             ${result.duplicates}`);
  console.log(`  outages survived         ${result.outages}`);
  console.log(`  alerts fired, delivered  ${result.alertsFired}, ${result.alertsDelivered}`);
  console.log(
    `  device's own incidents   ${result.deviceIncidents}, ${result.deviceIncidentsAdopted} of them at the collector`,
  );
  console.log(`  acted upon cut off       ${result.actedWhileCutOff}`);
  console.log(`  acted upon twice         ${result.actedTwice}`);
  console.log(`  ${verdict}`);
}
