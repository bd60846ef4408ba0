import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import type { ClaimedNotification, StoredIncident } from '../store/incidents.js';
import { alertOf, STARTED_US } from './alert.fixture.js';
import { type Circumstances, decide, type Rules } from './decide.js';
import { CALM, type Situation } from './situation.js';

const QUEUED_US = STARTED_US + 60_000_000;
const MINUTE_US = 60_000_000;

function claimedOf(
  changes: Partial<ClaimedNotification> = {},
  incident: Partial<StoredIncident> = {},
): ClaimedNotification {
  const alert = alertOf();
  return {
    receiver: 'a',
    deviceId: 1,
    incidentId: alert.incidentId,
    state: AlertState.FIRING,
    claim: 1,
    attempts: 0,
    told: false,
    firingTold: false,
    queuedUs: QUEUED_US,
    alert,
    incident: {
      deviceId: 1,
      seriesId: 1,
      tenant: '',
      incidentId: alert.incidentId,
      alert,
      startedAtUs: STARTED_US,
      firedAtUs: STARTED_US,
      resolvedAtUs: undefined,
      notified: true,
      retracted: false,
      acknowledgedBy: '',
      acknowledgedAtUs: 0,
      resolvedBy: '',
      events: 1,
      ...incident,
    },
    ...changes,
  };
}

const rules: Rules = {
  matches: () => true,
  sendResolved: true,
  giveUpAfterUs: 60 * MINUTE_US,
  inhibitWaitUs: 0,
  canBeHidden: () => true,
};
const over = { resolvedAtUs: QUEUED_US };
const silence: Situation = { ...CALM, silencing: () => ({ by: ['7'], untilUs: 5 }) };
const inhibition: Situation = { ...CALM, inhibiting: () => ['cd'] };
const end = { state: AlertState.RESOLVED, firingTold: true } as const;

const cases: [string, ClaimedNotification, Partial<Rules>, Partial<Circumstances>, object][] = [
  ['a beginning is told', claimedOf(), {}, {}, { decision: 'send' }],
  ['not to whom it does not concern', claimedOf(), { matches: () => false }, {}, { reason: 'not-matching' }],
  [
    'not when somebody has acknowledged it',
    claimedOf({}, { acknowledgedBy: 'ada' }),
    {},
    {},
    { reason: 'acknowledged' },
  ],
  [
    'not while it is silenced',
    claimedOf(),
    {},
    { situation: silence },
    { decision: 'hold', reason: 'silenced', by: ['7'], untilUs: 5 },
  ],
  [
    'not while it is hidden',
    claimedOf(),
    {},
    { situation: inhibition },
    { decision: 'hold', reason: 'inhibited', by: ['cd'] },
  ],
  [
    'whatever hides others, when nothing can hide it',
    claimedOf(),
    { canBeHidden: () => false },
    { situation: inhibition },
    { decision: 'send' },
  ],
  [
    'not before what hides it could be there',
    claimedOf(),
    { inhibitWaitUs: 2 * MINUTE_US },
    {},
    { reason: 'waiting', untilUs: QUEUED_US + 2 * MINUTE_US },
  ],
  [
    'at once, when nothing can hide it',
    claimedOf(),
    { inhibitWaitUs: 2 * MINUTE_US, canBeHidden: () => false },
    {},
    { decision: 'send' },
  ],
  ['a short incident is told, though it is over', claimedOf({}, over), {}, {}, { decision: 'send' }],
  ['but not one that was held back until it was over', claimedOf({}, over), {}, { wasHeld: true }, { reason: 'over' }],
  ['and not one that was none', claimedOf({}, { ...over, retracted: true }), {}, {}, { reason: 'over' }],
  [
    'one that may have arrived is told until it has',
    claimedOf({ attempts: 1 }, { ...over, retracted: true }),
    {},
    {},
    { decision: 'send' },
  ],
  [
    'what nobody took in time is given up',
    claimedOf({ attempts: 9 }),
    {},
    { nowUs: QUEUED_US + 61 * MINUTE_US },
    { decision: 'drop' },
  ],
  [
    'counted from when it could have been taken',
    claimedOf(),
    {},
    { nowUs: QUEUED_US + 61 * MINUTE_US, sinceUs: QUEUED_US + MINUTE_US },
    { decision: 'send' },
  ],
  [
    'what was told goes on while the incident does',
    claimedOf({ told: true }, { acknowledgedBy: 'ada' }),
    {},
    { situation: silence, nowUs: QUEUED_US + 900 * MINUTE_US },
    { decision: 'send' },
  ],
  ['and no longer', claimedOf({ told: true }, over), {}, {}, { decision: 'done' }],
  [
    'an end is told to whom the beginning was, silenced or not',
    claimedOf(end, over),
    {},
    { situation: silence },
    { decision: 'send' },
  ],
  ['and to nobody else', claimedOf({ ...end, firingTold: false }, over), {}, {}, { reason: 'beginning-not-told' }],
  ['and not to whom does not want it', claimedOf(end, over), { sendResolved: false }, {}, { reason: 'end-not-wanted' }],
  [
    'an end is given up in time too',
    claimedOf(end, over),
    {},
    { nowUs: QUEUED_US + 61 * MINUTE_US },
    { decision: 'drop' },
  ],
  [
    'but one that was told is done',
    claimedOf({ ...end, told: true }, over),
    {},
    { nowUs: QUEUED_US + 61 * MINUTE_US },
    { decision: 'done' },
  ],
];

describe('whether somebody is told', () => {
  it.each(cases)('%s', (_, notification, changedRules, circumstances, expected) => {
    const subject = { incident: 'ab', labels: new Map<string, string>() };
    const calm = { situation: CALM, subject, nowUs: QUEUED_US + MINUTE_US, sinceUs: QUEUED_US, wasHeld: false };
    expect(decide(notification, { ...rules, ...changedRules }, { ...calm, ...circumstances })).toMatchObject(expected);
  });
});
