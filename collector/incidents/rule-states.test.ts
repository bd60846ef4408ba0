import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { bytes16 } from '../store/conformance/data.js';
import { incidentsWithoutData, matchingStates, type StandingRule } from './rule-states.js';

function standing(rule: string, changes: Partial<StandingRule> = {}, name = 'temperature', room = ''): StandingRule {
  return {
    rule,
    version: '1',
    series: { tenant: '', device: 'kiln', name, unit: 'Cel', labels: { room } },
    state: 'inactive',
    sinceUs: undefined,
    lastUs: undefined,
    incidentId: undefined,
    ...changes,
  };
}

describe('states of rules', () => {
  it('are those that match, in order of rule, series and labels', () => {
    const rules = [
      standing('hot', {}, 'temperature', 'b'),
      standing('wet'),
      standing('hot', {}, 'temperature', 'a'),
      standing('hot', {}, 'pressure'),
      standing('cold'),
    ];
    const words = (pattern: string) =>
      matchingStates(rules, pattern, 'kiln').map((one) =>
        `${one.rule} ${one.seriesName} ${one.seriesLabels.room}`.trim(),
      );
    expect(words('hot')).toEqual(['hot pressure', 'hot temperature a', 'hot temperature b']);
    expect(words('*')).toHaveLength(5);
    expect(words('c*')).toEqual(['cold temperature']);
  });

  it('say what the contract calls them', () => {
    const states = (['inactive', 'pending', 'firing', 'unknown'] as const).map((state) => standing('r', { state }));
    expect(matchingStates(states, '*', 'kiln').map(({ state }) => state)).toEqual([
      AlertState.UNSPECIFIED,
      AlertState.PENDING,
      AlertState.FIRING,
      AlertState.UNKNOWN,
    ]);
  });

  it('say of which incidents nobody knows how they go on', () => {
    const missing = incidentsWithoutData([
      standing('a', { state: 'unknown', incidentId: bytes16(1) }),
      standing('b', { state: 'unknown' }),
      standing('c', { state: 'firing', incidentId: bytes16(2) }),
    ]);
    expect([...missing]).toEqual([Buffer.from(bytes16(1)).toString('hex')]);
  });
});
