import { describe, expect, it } from 'vitest';
import { parseRules, ruleVersion } from './rule.js';
import { compileSelection } from './selection.js';
import type { SeriesIdentity } from './series-identity.js';

const valid = `
rules:
  - name: too-hot
    select: { name: temp*, device: "kiln-*", unit: Cel, labels: { room: "?" }, attributes: { site: "n*" } }
    above: 80
    clear: 75
    for: 30s
    severity: critical
    labels: { team: ovens }
    annotations: { summary: "{{ device }} has {{value}} in {{labels.room}}" }
`;

describe('a file of rules', () => {
  it('is read with defaults', () => {
    const [rule] = parseRules(valid, 'rules.yaml');
    expect(rule).toMatchObject({
      name: 'too-hot',
      above: 80,
      clear: 75,
      for: 30_000,
      keep_firing_for: 0,
      evaluate: 'collector',
    });
  });

  it('selects by name, device, unit, labels and attributes', () => {
    const matches = compileSelection(parseRules(valid, 'rules.yaml')[0]!.select!);
    const selects = (one: SeriesIdentity, site = 'north') => matches(one, { site });
    const series = { tenant: '', device: 'kiln-7', name: 'temperature', unit: 'Cel', labels: { room: 'a' } };
    expect(selects(series)).toBe(true);
    expect(selects({ ...series, device: 'oven-7' })).toBe(false);
    expect(selects({ ...series, unit: 'K' })).toBe(false);
    expect(selects({ ...series, labels: { room: 'ab' } })).toBe(false);
    expect(selects({ ...series, labels: {} })).toBe(false);
    expect(selects(series, 'south')).toBe(false);
  });

  it('has a version for each rule that changes with what the rule says and not with how it is written', () => {
    const version = (text: string) => ruleVersion(parseRules(text, 'r.yaml')[0]!);
    const one = version('rules: [{name: a, select: {name: x}, above: 1, for: 60s}]');
    expect(version('rules: [{for: 1m, above: 1.0, select: {name: x, device: "*"}, name: a}]')).toBe(one);
    expect(version('rules: [{name: a, select: {name: x}, above: 2, for: 60s}]')).not.toBe(one);
  });
});
