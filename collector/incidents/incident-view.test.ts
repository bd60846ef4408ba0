import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { Silence } from '@tributary/proto/gen/tributary/v1/incident';
import { describe, expect, it } from 'vitest';
import { alert, bytes16, NOW_US } from '../store/conformance/data.js';
import type { StoredIncident } from '../store/incidents.js';
import { incidentViews } from './incident-view.js';
import type { StandingRule } from './rule-states.js';

function incident(id: number, changes: Partial<StoredIncident> = {}): StoredIncident {
  return {
    deviceId: 1,
    seriesId: 1,
    tenant: 'acme',
    incidentId: bytes16(id),
    alert: alert(1, id, AlertState.FIRING).alert,
    startedAtUs: NOW_US,
    firedAtUs: NOW_US,
    resolvedAtUs: undefined,
    notified: true,
    retracted: false,
    acknowledgedBy: '',
    acknowledgedAtUs: 0,
    resolvedBy: '',
    events: 1,
    ...changes,
  };
}

const silence: Silence = {
  silenceId: '7',
  matchers: { globs: { tenant: 'acme' } },
  fromUs: 0,
  untilUs: 1e16,
  comment: '',
  createdBy: '',
  createdAtUs: 0,
};

const unknown: StandingRule = {
  rule: 'too-warm',
  version: '1',
  series: { tenant: 'acme', device: 'd', name: 'temperature', unit: 'Cel', labels: {} },
  state: 'unknown',
  sinceUs: undefined,
  lastUs: undefined,
  incidentId: bytes16(1),
};

describe("an incident's view", () => {
  it('tells of one that fires who silences and inhibits it, and whether data is missing', async () => {
    const asked: number[] = [];
    const context = {
      store: { activeSilences: async () => [silence] },
      inhibitedBy: async ({ incidentId }: StoredIncident) => (incidentId[0] === 1 ? [bytes16(9)] : []),
      rules: {
        ruleStates: (deviceId: number) => {
          asked.push(deviceId);
          return [unknown];
        },
      },
    };
    const over = incident(3, { resolvedAtUs: NOW_US + 1 });
    const views = await incidentViews(context, [incident(1), incident(2), over], NOW_US);
    expect(views).toMatchObject([
      { silencedBy: ['7'], inhibitedBy: [bytes16(9)], dataMissing: true },
      { silencedBy: ['7'], inhibitedBy: [], dataMissing: false },
      { silencedBy: [], inhibitedBy: [], dataMissing: false, resolvedAtUs: NOW_US + 1 },
    ]);
    expect(asked).toEqual([1]);
  });
});
