import { describe, expect, it } from 'vitest';
import { compileRuleSet, RULES_BYTES_MAX } from './rule-set.js';

describe('a text of rules', () => {
  it('is compiled rule by rule, and what is not known here is refused by name', () => {
    const { rules, refused } = compileRuleSet(`rules:
      - {name: hot, select: {name: t}, above: 50, evaluate: device}
      - {name: later, select: {name: t}, conjecture: {of: 7}, evaluate: device}
      - {select: {name: t}, above: 50, evaluate: device}
      - {name: away, absent: {for: 1m, of: device}, evaluate: device}
      - 7
    `);
    expect(rules.map(({ name }) => name)).toEqual(['hot']);
    expect(refused.map(({ name }) => name)).toEqual([
      'later',
      'a rule without a name',
      'away',
      'a rule without a name',
    ]);
    expect(refused[0]?.why).toContain('conjecture');
  });

  it('may be empty, and must be a list that a device can hold', () => {
    expect(compileRuleSet('')).toEqual({ rules: [], refused: [] });
    for (const text of ['rules: [', 'rules: 7', '- a', 'x'.repeat(RULES_BYTES_MAX + 1)]) {
      expect(() => compileRuleSet(text)).toThrow('rules of the collector');
    }
  });
});
