import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { ActiveSilences, type Silenced } from '../alerts/active-silences.js';
import { type AlertLabels, alertLabels } from '../alerts/matchers.js';
import type { ClaimedNotification } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { incidentHex } from './incident-link.js';
import type { FiringIncident, Inhibition } from './inhibition.js';

/** Incidents of one page. */
const PAGE = 500;
/** Incidents that are looked at for what hides others, at the most: beyond that everything fires, and people are told. */
const FIRING_MAX = 20_000;

/** What at this moment keeps incidents from being notified. */
export interface Situation {
  /** The silences that match; undefined for none. */
  silencing(labels: AlertLabels): Silenced | undefined;
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
  const silences = new ActiveSilences(await store.activeSilences(nowUs));
  const deviceIds = new Set(beginnings.map(({ deviceId }) => deviceId));
  const sources = inhibition.sourcesAmong(await firingIncidents(store, inhibition, deviceIds));
  return { silencing: (labels) => silences.silencing(labels), inhibiting: (incident) => sources.hiding(incident) };
}

/** What fires and could hide incidents of these devices. */
export async function firingIncidents(
  store: Pick<Store, 'readIncidents'>,
  inhibition: Inhibition,
  deviceIds: Iterable<number>,
): Promise<FiringIncident[]> {
  const firing: FiringIncident[] = [];
  for (const deviceId of inhibition.staysOnDevice ? deviceIds : [undefined]) {
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
  return firing;
}
