import { alertOf } from '@tributary/core/rules/alert-of';
import { incidentId } from '@tributary/core/rules/incident-id';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { AlertRecord } from '../store/store.js';
import { type Cell, type DeviceTrack, type OpenIncident, versionOf } from './tracks.js';

/** Makes alerts of what rules find, and keeps what is open with the rules. */
export class AlertMaker {
  readonly emit: (record: AlertRecord) => void;

  constructor(emit: (record: AlertRecord) => void) {
    this.emit = emit;
  }

  /**
   * A rule went over. `notifies` says of a beginning whether whoever is to be told is told; of an end it does not matter:
   * the end of what was told is always told.
   */
  went(device: DeviceTrack, cell: Cell, transition: Transition, notifies: boolean): void {
    cell.changed = true;
    const { series, onset, startedAtUs, atUs } = transition;
    if (transition.to === 'firing') {
      const id = incidentId(cell.rule.name, series, onset);
      // It was told once, and history had it for none meanwhile: now it is one.
      const isBack = cell.takenBack !== undefined && Buffer.compare(cell.takenBack, id) === 0;
      cell.takenBack = undefined;
      const exact = isBack ? { firedAtUs: atUs, resolvedAtUs: undefined } : undefined;
      cell.incident = { onset, id, series, startedAtUs, firedAtUs: atUs, notified: notifies };
      const alert = alertOf(cell.rule, transition, !notifies, device.attributes);
      this.push(device, alert, this.seriesOf(device, cell, series), exact);
      return;
    }
    const { incident } = cell;
    cell.incident = undefined;
    const alert = known(alertOf(cell.rule, transition, incident?.notified !== true, device.attributes), incident);
    // A pass through history may have opened it again since it was last said to end right then.
    const exact = incident && { firedAtUs: incident.firedAtUs, resolvedAtUs: atUs };
    this.push(device, alert, this.seriesOf(device, cell, series), exact);
  }

  /** An incident that nobody was told of goes on now: it is told, under the id that it has. */
  confirm(device: DeviceTrack, cell: Cell, incident: OpenIncident, atUs: number, value: number): void {
    cell.changed = true;
    incident.notified = true;
    const { onset, series, startedAtUs } = incident;
    const transition: Transition = { to: 'firing', onset, startedAtUs, atUs, value, series };
    const alert = alertOf(cell.rule, transition, false, device.attributes);
    this.push(device, known(alert, incident), this.seriesOf(device, cell, series));
  }

  /** A rule is no longer in force: nothing else would end what it has begun. */
  abandon(device: DeviceTrack, cell: Cell, reason: string): void {
    const { incident } = cell;
    if (incident === undefined) return;
    const { onset, series, startedAtUs, firedAtUs } = incident;
    // A series that no rule watches any more has no track, but the rule had seen its newest reading.
    const newestUs = device.tracks.get(cell.seriesId)?.timeUs ?? Math.max(cell.timeUs, cell.instance.lastUs);
    const atUs = Math.max(firedAtUs, newestUs);
    const transition: Transition = { to: 'resolved', onset, startedAtUs, atUs, value: Number.NaN, series };
    const alert = known(alertOf(cell.rule, transition, !incident.notified, device.attributes), incident);
    const told = { ...alert, annotations: { ...alert.annotations, reason } };
    this.push(device, told, this.seriesOf(device, cell, series));
    cell.incident = undefined;
    cell.changed = true;
  }

  push(device: DeviceTrack, alert: Alert, seriesId: number, exact?: AlertRecord['exact']): void {
    const { deviceId } = device;
    this.emit({ deviceId, seriesId, alert, position: versionOf(device), ...(exact !== undefined && { exact }) });
  }

  /** The series that an incident is about: of a rule over a device the one that completed it. */
  seriesOf(device: DeviceTrack, cell: Cell, series: SeriesIdentity): number {
    if (cell.seriesId !== 0 || series.name === '') return cell.seriesId;
    for (const track of device.tracks.values()) {
      const { name, unit, labels } = track.identity;
      if (name === series.name && unit === series.unit && isSame(labels, series.labels)) return track.seriesId;
    }
    return 0;
  }
}

/** The alert under the id and with the beginning that the incident has in the store. */
export function known(alert: Alert, incident: OpenIncident | undefined): Alert {
  if (incident === undefined) return alert;
  return { ...alert, incidentId: incident.id, startedAtUs: incident.startedAtUs };
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
