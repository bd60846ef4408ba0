import { incidentId } from '@tributary/core/rules/incident-id';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import { RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CommittedTransition } from '../ingest/committed.js';
import type { AlertRecord, DeviceName } from '../store/store.js';

/**
 * A device's own transition as an alert without a number. Its id is the one that the device has found: a hash of what the
 * transition says and of who the device is, which nobody but its certificate says.
 *
 * What begins in the backfill lane is late: it is history, and if it goes on, the device says so once more in the live lane.
 * Of an end only the store can tell whether its beginning was told to anybody: see `Store.appendAlerts`.
 */
export function adoptedAlert(device: DeviceName, committed: CommittedTransition): AlertRecord {
  const { transition, series, startedAtUs, transitionAtUs, lane, deviceId, position } = committed;
  const { rule, ruleVersion, severity, state, value, labels, annotations } = transition;
  const { name, unit, labels: seriesLabels } = series?.declaration ?? { name: '', unit: '', labels: {} };
  const identity: SeriesIdentity = { ...device, name, unit, labels: seriesLabels };
  const onset = {
    epoch: Buffer.from(transition.onsetEpoch).toString('hex'),
    sequence: transition.onsetSequence,
    row: transition.onsetRow,
    gridUs: transition.onsetGridUs,
  };
  return {
    deviceId,
    seriesId: series?.seriesId ?? 0,
    position,
    alert: {
      number: 0,
      incidentId: incidentId(rule, identity, onset),
      state,
      rule,
      ruleVersion,
      severity,
      device: device.device,
      seriesName: name,
      seriesUnit: unit,
      seriesLabels: { ...seriesLabels },
      value,
      startedAtUs,
      transitionAtUs,
      labels,
      annotations,
      late: lane === Lane.BACKFILL,
      retracted: false,
      authority: RuleAuthority.DEVICE,
    },
  };
}
