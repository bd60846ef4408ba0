import { describe, expect, it } from 'vitest';
import { parseRules, ruleVersion } from './rule.js';
import { compileSelection } from './selection.js';
import type { SeriesIdentity } from './series-identity.js';

function problem(text: string): string {
  try {
    parseRules(text, 'rules.yaml');
  } catch (error) {
    return (error as Error).message;
  }
  return 'no problem';
}

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

  it.each([
    [
      'no condition',
      'rules:\n - {name: a, select: {name: x}}',
      /rules\.yaml:2:\d+: .*no condition .*; write above, below, outside or equals/,
    ],
    ['two conditions', 'rules:\n - {name: a, select: {name: x}, above: 1, below: 2}', /make two rules/],
    [
      'clear above the threshold',
      'rules:\n - name: a\n   select: {name: x}\n   above: 1\n   clear: 2',
      /rules\.yaml:5:\d+: rules\[0\]\.clear: .*write 1 or less/,
    ],
    ['clear below the threshold', 'rules:\n - {name: a, select: {name: x}, below: 1, clear: 0}', /write 1 or more/],
    [
      'a name twice',
      'rules:\n - {name: a, select: {name: x}, above: 1}\n - {name: a, select: {name: x}, above: 1}',
      /rules\.yaml:3:.*a second rule is named a/,
    ],
    ['an unknown key', 'rules:\n - {name: a, select: {name: x}, abvoe: 1}', /did you mean above/],
    [
      'an unknown name in a template',
      'rules:\n - {name: a, select: {name: x}, above: 1, annotations: {s: "{{valeu}}"}}',
      /unknown name \{\{valeu\}\} .*; known are/,
    ],
    [
      'an open template',
      'rules:\n - {name: a, select: {name: x}, above: 1, annotations: {s: "{{value"}}',
      /without its/,
    ],
    ['a duration without unit', 'rules:\n - {name: a, select: {name: x}, above: 1, for: 5}', /without a unit/],
    ['no number', 'rules:\n - {name: a, select: {name: x}, above: hot}', /not a number/],
    ['an infinite threshold', 'rules:\n - {name: a, select: {name: x}, above: .inf}', /not a finite number/],
    ['no selection', 'rules:\n - {name: a, above: 1}', /select: missing/],
  ])('with %s is refused at its place', (_, text, expected) => {
    expect(problem(text)).toMatch(expected);
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
