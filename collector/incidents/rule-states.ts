import { glob } from '@tributary/core/rules/glob';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { RuleState } from '@tributary/proto/gen/tributary/v1/incident';

/** Where one rule stands for one series, or for a device. */
export interface StandingRule {
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

/** Whoever evaluates rules in this process. */
export interface RuleStateSource {
  /** Of a device, in any order; empty for one that it knows nothing of. */
  ruleStates(deviceId: number): readonly StandingRule[];
}

/**
 * States that one answer may hold: 400 B each, 4 MB being what clients take. A device with so many series and rules is
 * asked for rule by rule.
 */
export const RULE_STATES_MAX = 8000;

const STATES: Readonly<Record<StandingRule['state'], AlertState>> = {
  inactive: AlertState.UNSPECIFIED,
  pending: AlertState.PENDING,
  firing: AlertState.FIRING,
  unknown: AlertState.UNKNOWN,
};

/** States of a device's rules whose names match, in order of rule and series. `device` is how the device is named. */
export function matchingStates(standing: readonly StandingRule[], pattern: string, device: string): RuleState[] {
  const matches = glob(pattern);
  return standing
    .filter(({ rule }) => matches(rule))
    .map((one): RuleState => {
      const { rule, version, series, state, sinceUs, lastUs, incidentId = new Uint8Array(0) } = one;
      return {
        rule,
        ruleVersion: version,
        device,
        seriesName: series.name,
        seriesUnit: series.unit,
        seriesLabels: { ...series.labels },
        state: STATES[state],
        sinceUs,
        lastReadingUs: lastUs,
        incidentId,
      };
    })
    .sort((a, b) => compare(a.rule, b.rule) || compare(a.seriesName, b.seriesName) || compare(labels(a), labels(b)));
}

/** Ids of incidents, in hexadecimal, whose series have had no reading for too long to say how it goes on. */
export function incidentsWithoutData(standing: readonly StandingRule[]): Set<string> {
  const ids = new Set<string>();
  for (const { state, incidentId } of standing) {
    if (state === 'unknown' && incidentId !== undefined) ids.add(Buffer.from(incidentId).toString('hex'));
  }
  return ids;
}

function labels({ seriesLabels }: RuleState): string {
  return JSON.stringify(Object.entries(seriesLabels).sort());
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
