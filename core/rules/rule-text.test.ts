import { describe, expect, it } from 'vitest';
import { edgeCases } from './edge-cases.js';
import { parseRules, ruleVersion } from './rule.js';
import { rulesText } from './rule-text.js';

const file = `
rules:
  - name: hot
    select: {name: "temp*", labels: {room: "a*", for: "x"}, attributes: {site: north}}
    above: 80
    clear: 75
    for: 90s
    keep_firing_for: 250ms
    gap: 2h
    evaluate: device
    labels: {team: "a: b"}
    annotations: {text: 'ä {{value}} "x"'}
  - {name: state, select: {name: s}, equals: open}
  - {name: band, select: {name: s}, outside: [1, 2.5], clear: [1.5, 2]}
`;

describe('the text of rules', () => {
  it('reads as the same rules, and is the same for the same rules', () => {
    const rules = parseRules(file, 'rules.yaml');
    const text = rulesText(rules);
    const again = parseRules(text, 'text.yaml');
    expect(again).toEqual(rules);
    expect(again.map(ruleVersion)).toEqual(rules.map(ruleVersion));
    expect(rulesText(again)).toBe(text);
  });

  it('is exact for every kind of rule', () => {
    const cases = edgeCases();
    for (const { rule } of cases) expect(parseRules(rulesText([rule]), 'text.yaml')).toEqual([rule]);
    const season = 'deviation: {season: 1d, memory: 7d, warm_up: 14d, relearn_after: 49d, least: 250}';
    const deviating = parseRules(`rules: [{name: r, select: {name: x}, ${season}}]`, 'rules.yaml');
    expect(parseRules(rulesText(deviating), 'text.yaml')).toEqual(deviating);
  });

  it('of no rules is empty', () => {
    expect(rulesText([])).toBe('');
  });
});
