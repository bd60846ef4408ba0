import { incidentId } from '@tributary/core/rules/incident-id';
import { TRANSITION_LIMITS } from '@tributary/core/rules/transition-limits';
import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import { describe, expect, it } from 'vitest';
import { type LocalTransition, localAlert } from './local-transition.js';
import { encodeTransition } from './transition-body.js';

const fired: LocalTransition = {
  rule: 'hot',
  version: '0123456789abcdef',
  severity: 'critical',
  to: 'firing',
  series: { tenant: 't', device: 'kiln', name: 'temperature', unit: 'Cel', labels: { room: 'a' } },
  onset: { epoch: '07'.repeat(16), sequence: 300, row: 2, gridUs: 0 },
  started: { segment: 3, us: -1_234_567_890_123 },
  at: { segment: 4, us: 5_000_000 },
  value: 81.25,
  labels: { team: 'ä', empty: '' },
  annotations: { text: 'too hot' },
};

const decode = (transition: LocalTransition, seriesId = 7) =>
  IncidentTransition.decode(encodeTransition(transition, seriesId));

describe('the body of a transition', () => {
  it('is what the generated code reads and writes', () => {
    const message = decode(fired);
    expect(message).toEqual({
      rule: 'hot',
      ruleVersion: fired.version,
      seriesId: 7,
      state: AlertState.FIRING,
      onsetEpoch: new Uint8Array(16).fill(7),
      onsetSequence: 300,
      onsetRow: 2,
      startedUs: fired.started.us,
      startedSegment: 3,
      transitionUs: 5_000_000,
      transitionSegment: 4,
      value: 81.25,
      severity: 'critical',
      labels: fired.labels,
      annotations: fired.annotations,
      onsetGridUs: 0,
    });
    expect(encodeTransition(fired, 7)).toEqual(IncidentTransition.encode(message).finish());
    const other: LocalTransition = {
      ...fired,
      to: 'resolved',
      value: null,
      onset: { ...fired.onset, gridUs: -3, row: 0 },
    };
    const end = decode(other, 0);
    expect(end).toMatchObject({ state: AlertState.RESOLVED, seriesId: 0, value: Number.NaN, onsetGridUs: -3 });
    expect(encodeTransition(other, 0)).toEqual(IncidentTransition.encode(end).finish());
  });

  it('stays within what a collector takes', () => {
    const texts = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`k${at}`, `é\n${'ü'.repeat(2000)}`]));
    const body = encodeTransition({ ...fired, labels: texts, annotations: texts }, 7);
    expect(body.length).toBeLessThanOrEqual(TRANSITION_LIMITS.bytesMax);
    const { labels } = IncidentTransition.decode(body);
    expect(Object.keys(labels)).toHaveLength(TRANSITION_LIMITS.entriesMax);
    expect(labels.k0).toMatch(/^é ü+$/);
  });
});

describe('the alert of a transition', () => {
  it('has the id that the collector finds, and the wall time as far as it is known', () => {
    const alert = localAlert(fired, (segment, us) => segment * 1_000_000 + us);
    expect(alert).toMatchObject({
      number: 0,
      incidentId: incidentId('hot', fired.series, fired.onset),
      state: AlertState.FIRING,
      authority: RuleAuthority.DEVICE,
      transitionAtUs: 9_000_000,
      late: false,
    });
  });
});
