import type { StandingRule } from '../incidents/rule-states.js';
import { cellsOf, type DeviceTrack } from './tracks.js';

/** Where each rule stands for each series of a device; `nowUs` is the collector's wall clock. */
export function standingsOf(device: DeviceTrack, nowUs: number): StandingRule[] {
  const standings: StandingRule[] = [];
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
