import { glob } from '@tributary/core/rules/glob';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { RuleState } from '@tributary/proto/gen/tributary/v1/incident';

/** Where one rule stands for one series, or for the device. */
export type StandingRule = Omit<RuleState, 'device'>;

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

/** States of rules whose names match, in order of rule and series. */
export function matchingStates(states: readonly StandingRule[], pattern: string): StandingRule[] {
  const matches = glob(pattern);
  return states
    .filter(({ rule }) => matches(rule))
    .sort((a, b) => compare(a.rule, b.rule) || compare(a.seriesName, b.seriesName) || compare(labels(a), labels(b)));
}

/** Ids of incidents, in hexadecimal, whose series have had no reading for too long to say how it goes on. */
export function incidentsWithoutData(states: readonly StandingRule[]): Set<string> {
  const missing = states.filter(({ state, incidentId }) => state === AlertState.UNKNOWN && incidentId.length > 0);
  return new Set(missing.map(({ incidentId }) => Buffer.from(incidentId).toString('hex')));
}

function labels({ seriesLabels }: StandingRule): string {
  return JSON.stringify(Object.entries(seriesLabels).sort());
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
