import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { ClaimedNotification } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { alertLabels } from './alert-labels.js';
import { incidentHex } from './incident-link.js';
import type { FiringIncident, Inhibition } from './inhibition.js';
import { labelMatcher } from './label-matcher.js';

/** Incidents of one page. */
const PAGE = 500;
/** Incidents that are looked at for what hides others, at the most: beyond that everything fires, and people are told. */
const FIRING_MAX = 20_000;

/** What at this moment keeps incidents from being notified. */
export interface Situation {
  /** Ids of the silences that match, and when the last of them ends; undefined for none. */
  silencing(labels: ReadonlyMap<string, string>): { ids: string[]; untilUs: number } | undefined;
  /** Incidents, in hexadecimal, that hide this one. */
  inhibiting(incident: FiringIncident): string[];
}

/** Nothing keeps anything back. */
export const CALM: Situation = { silencing: () => undefined, inhibiting: () => [] };

/** Reads what bears on these notifications, and nothing when no beginning is among them. */
export async function readSituation(
  store: Pick<Store, 'activeSilences' | 'readIncidents'>,
  inhibition: Inhibition,
  notifications: readonly ClaimedNotification[],
  nowUs: number,
): Promise<Situation> {
  const beginnings = notifications.filter(({ state, told }) => state === AlertState.FIRING && !told);
  if (beginnings.length === 0) return CALM;
  const silences = (await store.activeSilences(nowUs)).map(({ silenceId, matchers, untilUs }) => ({
    silenceId,
    untilUs,
    matches: labelMatcher(matchers?.globs ?? {}),
  }));
  const devices = inhibition.staysOnDevice ? new Set(beginnings.map(({ deviceId }) => deviceId)) : [undefined];
  const firing: FiringIncident[] = [];
  for (const deviceId of devices) await addFiring(store, deviceId, firing);
  const sources = inhibition.sourcesAmong(firing);
  return {
    silencing(labels) {
      const matching = silences.filter(({ matches }) => matches(labels));
      if (matching.length === 0) return undefined;
      return {
        ids: matching.map(({ silenceId }) => silenceId),
        untilUs: Math.max(...matching.map(({ untilUs }) => untilUs)),
      };
    },
    inhibiting: (incident) => sources.hiding(incident),
  };
}

async function addFiring(
  store: Pick<Store, 'readIncidents'>,
  deviceId: number | undefined,
  firing: FiringIncident[],
): Promise<void> {
  const filter = { ...(deviceId === undefined ? {} : { deviceId }), openOnly: true, withRetracted: false };
  let after = '';
  do {
    const { incidents, next } = await store.readIncidents(filter, after, PAGE);
    for (const { alert, tenant } of incidents) {
      firing.push({ incident: incidentHex(alert.incidentId), labels: alertLabels(alert, tenant) });
    }
    after = next;
  } while (after !== '' && firing.length < FIRING_MAX);
}
