import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { compileRule } from './compiled-rule.js';
import type { DeviceInstance } from './device-instance.js';
import { JOINED_MAX } from './device-instance.js';
import { parseRules } from './rule.js';
import { savedInstanceSchema } from './saved-instance.js';

const series = (name: string) => ({ tenant: '', device: 'd', name, unit: '', labels: {} });

function compiled(fields: string) {
  return compileRule(parseRules(`rules: [{name: r, ${fields}}]`, 'rules.yaml')[0]!);
}

/** The largest state of a rule: after a hundred thousand readings of all digits, four a second. */
function savedBytes(fields: string): number {
  const rule = compiled(`select: {name: x}, ${fields}`);
  const instance = rule.newInstance(series('x'));
  const count = 100_000;
  const timesUs = Float64Array.from({ length: count }, (_, index) => 1.7e15 + index * 250_000);
  const values = Float64Array.from({ length: count }, (_, index) => Math.sin(index) * 100);
  instance.advance({ from: 0, count, timesUs, values, rows: null, strings: null }, { epoch: 'e', sequence: 1 }, []);
  const saved = instance.save();
  expect(v.parse(savedInstanceSchema, JSON.parse(JSON.stringify(saved)))).toEqual(saved);
  return JSON.stringify(saved).length;
}

describe('the state of a rule', () => {
  it.each([
    ['above: 1000', 200],
    ['rate: {over: 1h}, above: 1000', 3500],
    ['window: {function: stddev, over: 2h, every: 1m}, above: 1000', 4500],
    ['window: {function: quantile, quantile: 0.5, over: 2h, every: 1m}, above: 1000', 27_000],
    ['deviation: {}', 500],
    ['deviation: {season: 7d}', 4500],
    ['absent: 1m', 500],
  ])('of %s takes at most %i bytes', (fields, most) => {
    expect(savedBytes(fields)).toBeLessThanOrEqual(most);
  });

  it('of a rule over a device has room for so many series and no more', () => {
    const rule = compiled('any: [{select: {name: "a*"}, above: 1}, {select: {name: "*"}, below: 0}]');
    const instance = rule.newInstance(series('')) as DeviceInstance;
    const numbers = Array.from({ length: 50 }, (_, index) => rule.join(instance, series(`a${index}`), {}, 'double'));
    expect(numbers.slice(0, JOINED_MAX / 2)).toEqual(Array.from({ length: JOINED_MAX / 2 }, (_, index) => index));
    expect(new Set(numbers.slice(JOINED_MAX / 2))).toEqual(new Set([-1]));
    expect(rule.join(instance, series('a3'), {}, 'double')).toBe(3);
    const again = rule.restore(JSON.parse(JSON.stringify(instance.save())), series(''))!;
    expect(rule.join(again, series('a3'), {}, 'double')).toBe(3);
    expect(rule.join(again, series('b'), {}, 'string')).toBe(-1);
  });

  it('that another version saved, or nobody, is not taken up', () => {
    const saved = compiled('select: {name: x}, absent: 1m').newInstance(series('x')).save();
    expect(compiled('select: {name: x}, absent: 2m').restore(saved, series('x'))).toBeUndefined();
    expect(v.is(savedInstanceSchema, { phase: 'firing' })).toBe(false);
  });
});
