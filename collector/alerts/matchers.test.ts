import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { Silence } from '@tributary/proto/gen/tributary/v1/incident';
import { describe, expect, it } from 'vitest';
import { alert } from '../store/conformance/data.js';
import { ActiveSilences } from './active-silences.js';
import { alertLabels, compileMatchers } from './matchers.js';

const { alert: warm } = alert(1, 1, AlertState.FIRING);
const labels = alertLabels(warm, 'acme');

describe('the labels of an alert', () => {
  it('are those of its rule, of its series, and what it is about', () => {
    expect(Object.fromEntries(labels)).toEqual({
      team: 'ops',
      'series.room': 'a',
      rule: 'too-warm',
      severity: 'warning',
      tenant: 'acme',
      device: 'd',
      series: 'temperature',
      unit: 'Cel',
    });
  });

  it('are not hidden by a rule that names its own so', () => {
    const named = alertLabels({ ...warm, labels: { device: 'another', 'series.room': 'b' } }, '');
    expect([named.get('device'), named.get('series.room')]).toEqual(['d', 'a']);
  });
});

describe('matchers', () => {
  it.each([
    [{}, true],
    [{ rule: 'too-*' }, true],
    [{ rule: 'too-*', device: 'e' }, false],
    [{ 'series.room': '?', team: 'ops' }, true],
    [{ absent: '*' }, true],
    [{ absent: '?*' }, false],
    [{ absent: '' }, true],
    [{ rule: 'TOO-*' }, false],
  ] as [Record<string, string>, boolean][])('of %j', (globs, expected) => {
    expect(compileMatchers(globs)(labels)).toBe(expected);
  });
});

describe('active silences', () => {
  const silence = (silenceId: string, globs: Record<string, string>, untilUs: number): Silence => ({
    silenceId,
    matchers: { globs },
    fromUs: 0,
    untilUs,
    comment: '',
    createdBy: '',
    createdAtUs: 0,
  });

  it('are all that match, until the last of them ends', () => {
    const silences = new ActiveSilences([
      silence('1', { device: 'd' }, 500),
      silence('2', { device: 'e' }, 900),
      silence('3', { tenant: 'acme' }, 300),
    ]);
    expect(silences.silencing(labels)).toEqual({ by: ['1', '3'], untilUs: 500 });
    expect(silences.silencing(alertLabels({ ...warm, device: 'f' }, ''))).toBeUndefined();
  });
});
