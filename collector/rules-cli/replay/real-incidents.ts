import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { StoredIncident } from '../../store/incidents.js';
import type { Store } from '../../store/store.js';
import type { ReplayedIncident } from './replay-device.js';

/** What became of a replayed incident in reality. */
export type Reality =
  /** It fired, under this id. */
  | 'same'
  /** Another one of its rule and series fired at that time. */
  | 'overlaps'
  /** It stands in the history, and nobody was told. */
  | 'late'
  | 'none';

const PAGE = 500;

/** What a collector recorded of one device in a time. */
export class RealIncidents {
  readonly #byId = new Map<string, StoredIncident>();
  /**
   * Of each rule and series, and of each rule, in order of their beginnings; those of one series do not overlap, nor those
   * of a rule over several.
   */
  readonly #bySeries = new Map<string, StoredIncident[]>();
  readonly #found = new Set<StoredIncident>();

  static async read(
    store: Pick<Store, 'readIncidents'>,
    deviceId: number,
    range: { fromUs: number; untilUs: number },
  ): Promise<RealIncidents> {
    const real = new RealIncidents();
    let after = '';
    do {
      const filter = { deviceId, range, openOnly: false, withRetracted: false };
      const page = await store.readIncidents(filter, after, PAGE);
      for (const incident of page.incidents) real.#add(incident);
      after = page.next;
    } while (after !== '');
    for (const incidents of real.#bySeries.values()) incidents.sort((a, b) => a.startedAtUs - b.startedAtUs);
    return real;
  }

  /** The recorded incident that a replayed one is: the same by its id, or those of the rule and series at that time. */
  match(replayed: ReplayedIncident): Reality {
    const same = this.#byId.get(replayed.id);
    if (same !== undefined) {
      this.#found.add(same);
      return same.notified ? 'same' : 'late';
    }
    let reality: Reality = 'none';
    const { rule, series, startedUs, endedUs = Number.POSITIVE_INFINITY } = replayed;
    // What completed a rule over several series may be another one each time.
    const key = rule.scope === 'device' ? keyOf(rule.name) : keyOf(rule.name, series);
    const ofSeries = this.#bySeries.get(key) ?? [];
    for (let at = firstEndingAt(ofSeries, startedUs); at < ofSeries.length; at += 1) {
      const real = ofSeries[at]!;
      if (real.startedAtUs > endedUs) break;
      this.#found.add(real);
      if (real.notified) reality = 'overlaps';
      else if (reality === 'none') reality = 'late';
    }
    return reality;
  }

  /** What people were told of, and no replayed incident was. */
  get unmatched(): StoredIncident[] {
    return [...this.#byId.values()].filter((incident) => incident.notified && !this.#found.has(incident));
  }

  #add(incident: StoredIncident): void {
    this.#byId.set(idOf(incident), incident);
    const { rule, seriesName: name, seriesUnit: unit, seriesLabels: labels } = incident.alert;
    for (const key of [keyOf(rule, { name, unit, labels }), keyOf(rule)]) {
      const known = this.#bySeries.get(key);
      if (known === undefined) this.#bySeries.set(key, [incident]);
      else known.push(incident);
    }
  }
}

/** As hexadecimal digits. */
export function idOf({ incidentId }: Pick<StoredIncident, 'incidentId'>): string {
  return Buffer.from(incidentId).toString('hex');
}

function keyOf(rule: string, series?: Pick<SeriesIdentity, 'name' | 'unit' | 'labels'>): string {
  if (series === undefined) return JSON.stringify([rule]);
  return JSON.stringify([rule, series.name, series.unit, Object.entries(series.labels).sort()]);
}

/** The first incident that ends at this time or later. */
function firstEndingAt(incidents: readonly StoredIncident[], timeUs: number): number {
  let low = 0;
  let high = incidents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((incidents[middle]!.resolvedAtUs ?? Number.POSITIVE_INFINITY) < timeUs) low = middle + 1;
    else high = middle;
  }
  return low;
}
