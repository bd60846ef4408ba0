import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { alertOf } from './alert-of.js';
import { compileRule } from './compiled-rule.js';
import { incidentId } from './incident-id.js';
import { parseRules } from './rule.js';

const series = { tenant: 't', device: 'kiln-7', name: 'temperature', unit: 'Cel', labels: { room: 'a', floor: '2' } };
const onset = { epoch: '0123456789abcdef0123456789abcdef', sequence: 12, row: 3, gridUs: 0 };
const hex = (id: Uint8Array) => Buffer.from(id).toString('hex');

describe('an alert', () => {
  it('says what happened to what, in the words of its rule', () => {
    const [rule] = parseRules(
      `rules: [{name: hot, select: {name: "*"}, above: 80, severity: critical, evaluate: device, labels: {site: "{{attributes.site}}"},
        annotations: {text: "{{rule}} ({{severity}}): {{device}} {{series}} {{value}} {{unit}} {{labels.room}}{{labels.none}}"}}]`,
      'rules.yaml',
    );
    const compiled = compileRule(rule!);
    const transition = { to: 'firing' as const, onset, startedAtUs: 5, atUs: 9, value: 81.5, series };
    expect(alertOf(compiled, transition, true, { site: 'north' })).toMatchObject({
      number: 0,
      state: AlertState.FIRING,
      rule: 'hot',
      ruleVersion: compiled.version,
      severity: 'critical',
      device: 'kiln-7',
      seriesName: 'temperature',
      value: 81.5,
      startedAtUs: 5,
      transitionAtUs: 9,
      labels: { site: 'north' },
      annotations: { text: 'hot (critical): kiln-7 temperature 81.5 Cel a' },
      late: true,
      authority: RuleAuthority.DEVICE,
    });
    expect(compiled.labelsNamed).toEqual(['room', 'none']);
  });

  it('has an id that never changes, whatever order labels stand in', () => {
    const id = hex(incidentId('hot', series, onset));
    expect(id).toBe('75f7a186a602c9ebe98bfc0885d31069');
    expect(hex(incidentId('hot', { ...series, labels: { floor: '2', room: 'a' } }, onset))).toBe(id);
    for (const other of [
      { ...onset, row: 4 },
      { ...onset, gridUs: 60e6 },
      { ...onset, sequence: 13 },
    ]) {
      expect(hex(incidentId('hot', series, other))).not.toBe(id);
    }
  });
});
