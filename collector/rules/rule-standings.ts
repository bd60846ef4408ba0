import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import { cellsOf, type DeviceTrack } from './tracks.js';

/** Where one rule stands for one series, or for a device. */
export interface RuleStanding {
  rule: string;
  version: string;
  /** Its name is empty for a rule that is about the device. */
  series: SeriesIdentity;
  state: 'inactive' | 'pending' | 'firing' | 'unknown';
  /** Event times, microseconds since the Unix epoch: since when it is pending or firing, and of the newest reading. */
  sinceUs: number | undefined;
  lastUs: number | undefined;
  /** Of the incident that fires. */
  incidentId: Uint8Array | undefined;
}

/** Where each rule stands for each series of a device; `nowUs` is the collector's wall clock. */
export function standingsOf(device: DeviceTrack, nowUs: number): RuleStanding[] {
  const standings: RuleStanding[] = [];
  for (const { rule, identity, seriesId, instance, incident, timeUs } of cellsOf(device)) {
    const lastUs = seriesId === 0 ? timeUs : device.tracks.get(seriesId)?.timeUs;
    standings.push({
      rule: rule.name,
      version: rule.version,
      series: identity,
      state: instance.statusAt(nowUs),
      sinceUs: instance.phase === 'inactive' ? undefined : (incident?.startedAtUs ?? instance.sinceUs),
      lastUs: lastUs !== undefined && Number.isFinite(lastUs) ? lastUs : undefined,
      incidentId: incident?.id,
    });
  }
  return standings;
}
