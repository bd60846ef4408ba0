import type { Scheduler } from '@tributary/core/clock/clock';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { ActiveSilences, type Silenced } from '../alerts/active-silences.js';
import { type AlertLabels, alertLabels } from '../alerts/matchers.js';
import type { ClaimedNotification } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { incidentHex } from './incident-link.js';
import type { FiringIncident, Inhibition, InhibitionSources } from './inhibition.js';

/** Incidents of one page. */
const PAGE = 500;
/** Incidents that are looked at for what hides others, at the most: beyond that everything fires, and people are told. */
const FIRING_MAX = 20_000;

/** More than these are not read for each handful of notifications, but once in this time. */
const LARGE = 100;
const KEEP_MS = 1000;

type SituationStore = Pick<Store, 'activeSilences' | 'readIncidents'>;

/** What at this moment keeps incidents from being notified. */
export interface Situation {
  /** The silences that match; undefined for none. */
  silencing(labels: AlertLabels): Silenced | undefined;
  /** Incidents, in hexadecimal, that hide this one. */
  inhibiting(incident: FiringIncident): string[];
}

/** Nothing keeps anything back. */
export const CALM: Situation = { silencing: () => undefined, inhibiting: () => [] };

/**
 * Reads what at this moment bears on notifications. What fires is read anew each time, unless there is much of it: then it is
 * looked at once a second, or a storm would be read again for each handful of its notifications.
 */
export class SituationReader {
  readonly #store: SituationStore;
  readonly #inhibition: Inhibition;
  readonly #scheduler: Pick<Scheduler, 'nowMs'>;
  /** By device, or under undefined for all; only what is large, and not for long. */
  readonly #large = new Map<number | undefined, { readMs: number; firing: FiringIncident[] }>();

  constructor(store: SituationStore, inhibition: Inhibition, scheduler: Pick<Scheduler, 'nowMs'>) {
    this.#store = store;
    this.#inhibition = inhibition;
    this.#scheduler = scheduler;
  }

  /** Reads nothing when no beginning is among the notifications. */
  async read(notifications: readonly ClaimedNotification[], nowUs: number): Promise<Situation> {
    const beginnings = notifications.filter(({ state, told }) => state === AlertState.FIRING && !told);
    if (beginnings.length === 0) return CALM;
    const silences = new ActiveSilences(await this.#store.activeSilences(nowUs));
    const sources = await this.#sources(new Set(beginnings.map(({ deviceId }) => deviceId)));
    return { silencing: (labels) => silences.silencing(labels), inhibiting: (incident) => sources.hiding(incident) };
  }

  /** The incidents, in hexadecimal, that hide one of a device now. */
  async hiding(deviceId: number, incident: FiringIncident): Promise<string[]> {
    if (!this.#inhibition.isTarget(incident.labels)) return [];
    return (await this.#sources([deviceId])).hiding(incident);
  }

  async #sources(deviceIds: Iterable<number>): Promise<InhibitionSources> {
    const nowMs = this.#scheduler.nowMs();
    for (const [key, { readMs }] of this.#large) if (nowMs - readMs > KEEP_MS) this.#large.delete(key);
    const firing: FiringIncident[] = [];
    for (const deviceId of this.#inhibition.staysOnDevice ? deviceIds : [undefined]) {
      const found = this.#large.get(deviceId)?.firing ?? (await this.#readFiring(deviceId));
      if (found.length > LARGE && !this.#large.has(deviceId))
        this.#large.set(deviceId, { readMs: nowMs, firing: found });
      for (const one of found) firing.push(one);
    }
    return this.#inhibition.sourcesAmong(firing);
  }

  async #readFiring(deviceId: number | undefined): Promise<FiringIncident[]> {
    const firing: FiringIncident[] = [];
    const filter = { ...(deviceId === undefined ? {} : { deviceId }), openOnly: true, withRetracted: false };
    let after = '';
    do {
      const { incidents, next } = await this.#store.readIncidents(filter, after, PAGE);
      for (const { alert, tenant } of incidents) {
        firing.push({ incident: incidentHex(alert.incidentId), labels: alertLabels(alert, tenant) });
      }
      after = next;
    } while (after !== '' && firing.length < FIRING_MAX);
    return firing;
  }
}
