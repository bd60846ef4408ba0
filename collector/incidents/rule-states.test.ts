import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { bytes16 } from '../store/conformance/data.js';
import { incidentsWithoutData, matchingStates, type StandingRule } from './rule-states.js';

function standing(rule: string, changes: Partial<StandingRule> = {}): StandingRule {
  return {
    rule,
    ruleVersion: '1',
    seriesName: 'temperature',
    seriesUnit: 'Cel',
    seriesLabels: {},
    state: AlertState.UNSPECIFIED,
    sinceUs: undefined,
    lastReadingUs: undefined,
    incidentId: new Uint8Array(0),
    ...changes,
  };
}

describe('states of rules', () => {
  it('are those that match, in order of rule, series and labels', () => {
    const states = [
      standing('hot', { seriesLabels: { room: 'b' } }),
      standing('wet'),
      standing('hot', { seriesLabels: { room: 'a' } }),
      standing('hot', { seriesName: 'pressure' }),
      standing('cold'),
    ];
    const words = (pattern: string) =>
      matchingStates(states, pattern).map((one) =>
        `${one.rule} ${one.seriesName} ${one.seriesLabels.room ?? ''}`.trim(),
      );
    expect(words('hot')).toEqual(['hot pressure', 'hot temperature a', 'hot temperature b']);
    expect(words('*')).toHaveLength(5);
    expect(words('c*')).toEqual(['cold temperature']);
  });

  it('say of which incidents nobody knows how they go on', () => {
    const missing = incidentsWithoutData([
      standing('a', { state: AlertState.UNKNOWN, incidentId: bytes16(1) }),
      standing('b', { state: AlertState.UNKNOWN }),
      standing('c', { state: AlertState.FIRING, incidentId: bytes16(2) }),
    ]);
    expect([...missing]).toEqual([Buffer.from(bytes16(1)).toString('hex')]);
  });
});
