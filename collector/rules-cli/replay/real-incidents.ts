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
      for (const incident of page.incidents) real.#byId.set(idOf(incident), incident);
      after = page.next;
    } while (after !== '');
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
    for (const real of this.#byId.values()) {
      if (!isOfSameSeries(real, replayed) || !overlaps(real, replayed)) continue;
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
}

/** As hexadecimal digits. */
export function idOf({ incidentId }: Pick<StoredIncident, 'incidentId'>): string {
  return Buffer.from(incidentId).toString('hex');
}

function isOfSameSeries({ alert }: StoredIncident, { rule, series }: ReplayedIncident): boolean {
  if (alert.rule !== rule.name || alert.seriesName !== series.name || alert.seriesUnit !== series.unit) return false;
  const keys = Object.keys(series.labels);
  return (
    keys.length === Object.keys(alert.seriesLabels).length &&
    keys.every((key) => alert.seriesLabels[key] === series.labels[key])
  );
}

function overlaps(real: StoredIncident, replayed: ReplayedIncident): boolean {
  const { startedUs, endedUs = Number.POSITIVE_INFINITY } = replayed;
  return real.startedAtUs <= endedUs && startedUs <= (real.resolvedAtUs ?? Number.POSITIVE_INFINITY);
}
