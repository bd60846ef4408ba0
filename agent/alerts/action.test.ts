import { describe, expect, it } from 'vitest';
import { actionPolicy, alertMatcher } from './action.js';
import { RESOLVED } from './alert-state.js';
import { sampleAlert } from './sample-alert.js';

describe('the matcher of an action', () => {
  it.each([
    [{}, true],
    [{ rule: 'too-*' }, true],
    [{ rule: 'too' }, false],
    [{ severity: 'critical' }, true],
    [{ severity: 'warn*' }, false],
    [{ series: 'temp*' }, true],
    [{ series: 'pressure' }, false],
    [{ labels: { room: 'cellar-?' } }, true],
    [{ labels: { room: 'attic' } }, false],
    [{ labels: { team: 'night', room: '*' } }, true],
    [{ labels: { floor: '*' } }, false],
    [{ states: ['firing' as const] }, true],
    [{ states: ['resolved' as const] }, false],
  ])('%j takes a firing alert about a cellar: %s', (match, expected) => {
    expect(alertMatcher({ labels: {}, ...match })(sampleAlert(1))).toBe(expected);
  });

  it('tells a retraction from an end where it is asked to', () => {
    const retraction = sampleAlert(1, { state: RESOLVED, retracted: true });
    const end = sampleAlert(1, { state: RESOLVED });
    const matches = alertMatcher({ labels: {}, states: ['retracted'] });
    expect([retraction, end].map(matches)).toEqual([true, false]);
    expect([retraction, end].map(alertMatcher({ labels: {}, states: ['resolved'] }))).toEqual([true, true]);
  });

  it('reads the labels that the rule gives before those of the series', () => {
    const matches = alertMatcher({ labels: { room: 'attic' } });
    expect(matches(sampleAlert(1, { labels: { room: 'attic' } }))).toBe(true);
  });
});

describe('the limits of an action', () => {
  const name = 'siren';
  const match = { labels: {} };

  it('have defaults', () => {
    const run = { command: ['/bin/true'], timeout: 1000, workingDirectory: '/', maxConcurrent: 2 };
    expect(actionPolicy({ name, match, run })).toMatchObject({
      kind: 'run',
      onCrash: 'skip',
      maxAgeMs: 300_000,
      rate: { count: 30, perMs: 60_000 },
      concurrentMax: 2,
    });
    const write = { source: 'board', line: 'x', endOfLine: '\n' as const, timeout: 1000 };
    const limits = { onCrash: 'repeat' as const, maxActionAge: 5000, rateLimit: { count: 1, per: 9000 } };
    expect(actionPolicy({ name, match, write, ...limits })).toMatchObject({
      kind: 'write',
      onCrash: 'repeat',
      maxAgeMs: 5000,
      rate: { count: 1, perMs: 9000 },
      concurrentMax: 1,
    });
  });

  it('do not hold a status back, which follows both states', () => {
    const policy = actionPolicy({ name, match, status: { name: 'heat', firing: 'x', resolved: 'ok' } });
    expect(policy).toMatchObject({ kind: 'status', maxAgeMs: Number.POSITIVE_INFINITY, rate: undefined });
    expect(policy!.matches(sampleAlert(1, { state: RESOLVED }))).toBe(true);
  });

  it('are none of an action that only logs', () => {
    expect(actionPolicy({ name, match, log: { level: 'info' } })).toBeUndefined();
  });
});
