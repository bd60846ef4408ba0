import { describe, expect, it } from 'vitest';
import { compileRule } from './compiled-rule.js';
import { resumedAbsence } from './resumed-absence.js';
import { parseRules } from './rule.js';
import type { Transition } from './rule-instance.js';

const series = { tenant: '', device: 'd', name: 'x', unit: '', labels: {} };
const compile = (fields: string) => compileRule(parseRules(`rules: [{name: r, ${fields}}]`, 'rules.yaml')[0]!);
const reading = (timeUs: number) => ({
  from: 0,
  count: 1,
  timesUs: Float64Array.of(timeUs),
  values: Float64Array.of(1),
  rows: null,
  strings: null,
});
const origin = { epoch: '00', sequence: 1 };

describe('absence that nobody has looked for', () => {
  const rule = compile('select: {name: x}, absent: 10s');

  it('is looked for from then on', () => {
    const out: Transition[] = [];
    const instance = rule.newInstance(series);
    instance.advance(reading(0), origin, out);
    instance.interrupt();
    const resumed = rule.restore(resumedAbsence(rule, instance.save(), 100e6)!, series)!;
    resumed.passTime(109e6, out);
    expect(out).toEqual([]);
    resumed.passTime(110e6, out);
    expect(out).toMatchObject([{ to: 'firing', startedAtUs: 0, atUs: 110e6 }]);
    const again = rule.restore(resumedAbsence(rule, resumed.save(), 200e6)!, series)!;
    expect(again.phase).toBe('firing');
    again.passTime(500e6, out);
    again.advance(reading(501e6), origin, out);
    expect(out.slice(1)).toMatchObject([{ to: 'resolved', atUs: 501e6 }]);
  });

  it('is none where nothing ever came, and no matter of other rules', () => {
    const out: Transition[] = [];
    const resumed = rule.restore(resumedAbsence(rule, rule.newInstance(series).save(), 100e6)!, series)!;
    resumed.passTime(1e12, out);
    expect(out).toEqual([]);
    for (const fields of [
      'select: {name: x}, above: 1',
      'absent: {for: 1m, of: device}',
      'all: [{select: {name: x}, absent: 10s}]',
    ]) {
      const other = compile(fields);
      expect(resumedAbsence(other, other.newInstance({ ...series, name: '' }).save(), 1)).toBeUndefined();
    }
  });
});
