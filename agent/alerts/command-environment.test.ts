import { describe, expect, it } from 'vitest';
import { commandEnvironment } from './command-environment.js';
import { sampleAlert } from './sample-alert.js';

describe('the environment of a command', () => {
  it('is the alert, and of the agent’s own no more than a program needs', () => {
    const own = { PATH: '/bin', TZ: 'UTC', NODE_OPTIONS: '--x', TRIBUTARY_FAILPOINT: 'x', SECRET: 'x' };
    expect(commandEnvironment(sampleAlert(7), true, own)).toEqual({
      PATH: '/bin',
      TZ: 'UTC',
      TRIBUTARY_INCIDENT: '00000000000000000000000000000007',
      TRIBUTARY_STATE: 'firing',
      TRIBUTARY_RULE: 'too-warm',
      TRIBUTARY_RULE_VERSION: '1',
      TRIBUTARY_SEVERITY: 'critical',
      TRIBUTARY_DEVICE: 'pump-3',
      TRIBUTARY_SERIES: 'temperature',
      TRIBUTARY_UNIT: 'Cel',
      TRIBUTARY_VALUE: '51.5',
      TRIBUTARY_STARTED_AT: '2026-01-01T00:00:00.000Z',
      TRIBUTARY_TRANSITION_AT: '2026-01-01T00:00:01.000Z',
      TRIBUTARY_RETRACTED: '0',
      TRIBUTARY_REPEATED: '1',
      TRIBUTARY_LABEL_room: 'cellar-2',
      TRIBUTARY_LABEL_team: 'night',
      TRIBUTARY_ANNOTATION_summary: 'it is too warm',
    });
  });

  it('has a search path where the agent has none', () => {
    expect(commandEnvironment(sampleAlert(7), false, {}).PATH).toContain('/usr/bin');
  });

  it('never keeps a program from starting, whatever a label holds', () => {
    const labels = { 'a-b.c': 'x\0y', long: 'ä'.repeat(5_000) };
    const environment = commandEnvironment(sampleAlert(7, { labels }), false, {});
    expect(environment.TRIBUTARY_LABEL_a_b_c).toBe('x\ufffdy');
    expect(environment.TRIBUTARY_LABEL_long).toBe('ä'.repeat(2_048));
  });
});
