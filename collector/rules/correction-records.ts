import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { AlertRecord } from '../store/store.js';
import { type AlertMaker, known } from './alert-maker.js';
import type { Correction } from './reconcile.js';
import { type Cell, type DeviceTrack, versionOf } from './tracks.js';
import { alertOfTruth } from './truth.js';

/** What is stored of a correction, in order. Only the end of what was told is not late. */
export function correctionRecords(
  device: DeviceTrack,
  cell: Cell,
  correction: Correction,
  maker: AlertMaker,
): AlertRecord[] {
  const { deviceId, attributes } = device;
  const position = versionOf(device);
  if (correction.kind === 'retracted' || correction.kind === 'ended') {
    const { recorded } = correction;
    const { startedAtUs, firedAtUs, resolvedAtUs, seriesId, alert } = recorded;
    const isRetracted = correction.kind === 'retracted';
    const atUs = isRetracted ? (resolvedAtUs ?? firedAtUs) : correction.atUs;
    const late = isRetracted ? !correction.tellsEnd : !recorded.notified;
    const ended = { ...alert, state: AlertState.RESOLVED, startedAtUs, transitionAtUs: atUs, retracted: isRetracted };
    return [{ deviceId, seriesId, position, alert: { ...ended, late }, exact: { firedAtUs, resolvedAtUs: atUs } }];
  }
  const { truth } = correction;
  const { incident, end } = truth;
  const exact = { firedAtUs: incident.firedAtUs, resolvedAtUs: end?.atUs };
  const seriesId = maker.seriesOf(device, cell, incident.series);
  const beginning = alertOfTruth(cell, truth, 'beginning', attributes);
  if (correction.kind === 'new') {
    const records: AlertRecord[] = [{ deviceId, seriesId, position, alert: beginning }];
    if (end !== undefined)
      records.push({ deviceId, seriesId, position, alert: alertOfTruth(cell, truth, 'end', attributes) });
    return records;
  }
  const { recorded, tellsEnd } = correction;
  const as = { ...incident, id: recorded.incidentId };
  const isEndOnly =
    !recorded.retracted &&
    recorded.startedAtUs === incident.startedAtUs &&
    recorded.firedAtUs === incident.firedAtUs &&
    end !== undefined;
  const records: AlertRecord[] = [];
  // The end is left to the record that tells it.
  const begun = tellsEnd ? { ...exact, resolvedAtUs: undefined } : exact;
  if (!isEndOnly) records.push({ deviceId, seriesId, position, alert: known(beginning, as), exact: begun });
  if (isEndOnly || tellsEnd) {
    const ending = known(alertOfTruth(cell, truth, 'end', attributes), as);
    records.push({ deviceId, seriesId, position, alert: { ...ending, late: !tellsEnd }, exact });
  }
  return records;
}
