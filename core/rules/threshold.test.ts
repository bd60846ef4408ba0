import { describe, expect, it } from 'vitest';
import { compileRule } from './compiled-rule.js';
import type { ForwardReadings } from './forward.js';
import { parseRules } from './rule.js';
import type { Transition } from './rule-instance.js';

const series = { tenant: '', device: 'd', name: 'n', unit: '', labels: {} };
const origin = { epoch: 'e', sequence: 1 };

function compiled(fields: string) {
  return compileRule(parseRules(`rules: [{name: r, select: {name: "*"}, ${fields}}]`, 'rules.yaml')[0]!);
}

function column(fromSecond: number, values: number[], strings: readonly string[] | null = null): ForwardReadings {
  return {
    from: 0,
    count: values.length,
    timesUs: Float64Array.from(values, (_, index) => (fromSecond + index) * 1e6),
    values: Float64Array.from(values),
    rows: null,
    strings,
  };
}

describe('a threshold', () => {
  it('asks to be saved only for what a restart would lose', () => {
    const instance = compiled('above: 10, clear: 8, for: 2s, keep_firing_for: 2s').newInstance(series);
    const out: Transition[] = [];
    const grows = (fromSecond: number, values: number[]) => {
      const { revision } = instance;
      instance.advance(column(fromSecond, values), origin, out);
      return instance.revision > revision;
    };
    expect(grows(0, [1, 2, 3])).toBe(false);
    expect(grows(3, [11])).toBe(true);
    expect(grows(4, [11])).toBe(true);
    expect(grows(5, [11])).toBe(true);
    expect(instance.phase).toBe('firing');
    expect(grows(6, [12, 9, 13])).toBe(false);
    expect(grows(9, [7])).toBe(true);
    expect(grows(10, [9])).toBe(true);
    expect(grows(11, [9])).toBe(false);
    expect(instance.lastUs).toBe(11e6);
  });

  it('at rest is restored as knowing of the newest reading that its series has', () => {
    const rule = compiled('above: 10, gap: 10s');
    const saved = rule.newInstance(series).save();
    expect(rule.restore(saved, series, 50e6)!.statusAt(55e6)).toBe('inactive');
    expect(rule.restore(saved, series)!.statusAt(55e6)).toBe('unknown');
  });

  it('is not restored from what another version saved', () => {
    const saved = compiled('above: 10').newInstance(series).save();
    expect(compiled('above: 11').restore(saved, series)).toBeUndefined();
  });

  it('finds a text by what it is in each column', () => {
    const instance = compiled('equals: open').newInstance(series);
    const out: Transition[] = [];
    instance.advance(column(0, [0, 1], ['closed', 'open']), origin, out);
    instance.advance(column(2, [0, 0], ['open']), origin, out);
    instance.advance(column(4, [0], ['closed']), origin, out);
    expect(out.map(({ to, atUs, value }) => [to, atUs, value])).toEqual([
      ['firing', 1e6, Number.NaN],
      ['resolved', 4e6, Number.NaN],
    ]);
  });
});
