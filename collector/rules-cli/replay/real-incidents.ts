import { type Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { Store } from '../../store/store.js';
import type { ReplayedIncident } from './replay-device.js';

/** An incident that the collector recorded. Times are event times in microseconds since the Unix epoch. */
export interface RealIncident {
  id: string;
  rule: string;
  severity: string;
  series: { name: string; unit: string; labels: Readonly<Record<string, string>> };
  startedUs: number;
  firedUs: number;
  endedUs: number | undefined;
  value: number;
  /** Nobody was told of it. */
  late: boolean;
  retracted: boolean;
  /** A replayed incident is the same, or overlaps with it. */
  isFound: boolean;
}

/** What became of a replayed incident in reality. */
export type Reality = 'same' | 'overlaps' | 'late' | 'none';

const PAGE = 1000;

/** What really fired on one device in a time. */
export class RealIncidents {
  readonly #byId = new Map<string, RealIncident>();

  static async read(
    store: Pick<Store, 'listAlerts'>,
    deviceId: number,
    range: { fromUs: number; untilUs: number },
  ): Promise<RealIncidents> {
    const found = new RealIncidents();
    for (const filter of [
      { deviceId, range, firingOnly: false },
      // Those that began earlier and have not ended.
      { deviceId, firingOnly: true },
    ]) {
      let after = 0;
      do {
        const page = await store.listAlerts(filter, after, PAGE);
        for (const alert of page.alerts) if (alert.startedAtUs < range.untilUs) found.#add(alert);
        after = page.next;
      } while (after !== 0);
    }
    return found;
  }

  /** The recorded incident that a replayed one is: the same by its id, or one of the rule and series at that time. */
  match(replayed: ReplayedIncident): Reality {
    const same = this.#byId.get(replayed.id);
    if (same !== undefined && !same.retracted) {
      same.isFound = true;
      return same.late ? 'late' : 'same';
    }
    let reality: Reality = 'none';
    for (const real of this.#byId.values()) {
      if (real.retracted || !isOfSameSeries(real, replayed) || !overlaps(real, replayed)) continue;
      real.isFound = true;
      if (!real.late) reality = 'overlaps';
      else if (reality === 'none') reality = 'late';
    }
    return reality;
  }

  /** What people were told of, and no replayed incident was. */
  get unmatched(): RealIncident[] {
    return [...this.#byId.values()].filter(({ isFound, late, retracted }) => !isFound && !late && !retracted);
  }

  #add(alert: Alert): void {
    const id = Buffer.from(alert.incidentId).toString('hex');
    const { state, rule, severity, startedAtUs, transitionAtUs, value, late, retracted } = alert;
    const known = this.#byId.get(id);
    if (known === undefined) {
      this.#byId.set(id, {
        id,
        rule,
        severity,
        series: { name: alert.seriesName, unit: alert.seriesUnit, labels: alert.seriesLabels },
        startedUs: startedAtUs,
        firedUs: state === AlertState.FIRING ? transitionAtUs : startedAtUs,
        endedUs: state === AlertState.RESOLVED ? transitionAtUs : undefined,
        value,
        late,
        retracted,
        isFound: false,
      });
      return;
    }
    known.startedUs = startedAtUs;
    known.late &&= late;
    known.retracted ||= retracted;
    if (state === AlertState.RESOLVED) known.endedUs = transitionAtUs;
  }
}

function isOfSameSeries(real: RealIncident, { rule, series }: ReplayedIncident): boolean {
  if (real.rule !== rule.name || real.series.name !== series.name || real.series.unit !== series.unit) return false;
  const keys = Object.keys(series.labels);
  return (
    keys.length === Object.keys(real.series.labels).length &&
    keys.every((key) => real.series.labels[key] === series.labels[key])
  );
}

function overlaps(real: RealIncident, replayed: ReplayedIncident): boolean {
  const { startedUs, endedUs = Number.POSITIVE_INFINITY } = replayed;
  return real.startedUs <= endedUs && startedUs <= (real.endedUs ?? Number.POSITIVE_INFINITY);
}
