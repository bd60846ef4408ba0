import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { LabelMatcher } from '../alerts/matchers.js';
import type { ClaimedNotification } from '../store/incidents.js';
import type { FiringIncident } from './inhibition.js';
import type { Situation } from './situation.js';

/** What is hidden by another incident is looked at again after this: the other one may be over. */
const INHIBITED_RECHECK_US = 15_000_000;

/** Why nobody is told, though nothing is lost by it. */
export type SkipReason = 'not-matching' | 'acknowledged' | 'over' | 'beginning-not-told' | 'end-not-wanted';

export type Decision =
  | { decision: 'send' }
  /** It was told before, and the incident is over: there is nothing to repeat. */
  | { decision: 'done' }
  | { decision: 'skip'; reason: SkipReason }
  /** Nobody took it in time. */
  | { decision: 'drop'; reason: 'too-old' }
  /** Not now: `by` are silences or incidents. */
  | { decision: 'hold'; reason: 'silenced' | 'inhibited' | 'waiting'; by: string[]; untilUs: number };

export interface Rules {
  matches: LabelMatcher;
  sendResolved: boolean;
  giveUpAfterUs: number;
  inhibitWaitUs: number;
  /** Whether any incident could hide one with these labels. */
  canBeHidden: LabelMatcher;
}

export interface Circumstances {
  situation: Situation;
  subject: FiringIncident;
  nowUs: number;
  /** Since when somebody could have taken it, by the collector's clock. */
  sinceUs: number;
  /** This receiver was kept from it by a silence or an inhibition. */
  wasHeld: boolean;
}

/**
 * Whether a receiver is told of a transition now. A beginning is told once, unless it is silenced, hidden by another incident
 * or acknowledged; what was held back is decided anew when that ends, and not told if the incident is over by then. The end is
 * told to whom the beginning was told, silenced or not: it disturbs nobody who was not disturbed before.
 */
export function decide(notification: ClaimedNotification, rules: Rules, circumstances: Circumstances): Decision {
  const { state, told, firingTold } = notification;
  const { nowUs, sinceUs } = circumstances;
  if (state === AlertState.RESOLVED) {
    if (!firingTold) return { decision: 'skip', reason: 'beginning-not-told' };
    if (!rules.sendResolved) return { decision: 'skip', reason: 'end-not-wanted' };
  } else if (told) {
    return isOver(notification) ? { decision: 'done' } : { decision: 'send' };
  } else {
    const decision = decideBeginning(notification, rules, circumstances);
    if (decision !== undefined) return decision;
  }
  if (nowUs - sinceUs <= rules.giveUpAfterUs) return { decision: 'send' };
  return told ? { decision: 'done' } : { decision: 'drop', reason: 'too-old' };
}

function decideBeginning(
  notification: ClaimedNotification,
  rules: Rules,
  { situation, subject, nowUs, wasHeld }: Circumstances,
): Decision | undefined {
  const { incident, attempts, queuedUs } = notification;
  if (!rules.matches(subject.labels)) return { decision: 'skip', reason: 'not-matching' };
  // Something short that nobody was kept from is told all the same: one incident, one notification.
  if (isOver(notification) && attempts === 0 && (wasHeld || incident.retracted)) {
    return { decision: 'skip', reason: 'over' };
  }
  if (incident.acknowledgedBy !== '') return { decision: 'skip', reason: 'acknowledged' };
  const silencing = situation.silencing(subject.labels);
  if (silencing !== undefined) {
    return { decision: 'hold', reason: 'silenced', by: silencing.by, untilUs: silencing.untilUs };
  }
  if (!rules.canBeHidden(subject.labels)) return undefined;
  const by = situation.inhibiting(subject);
  if (by.length > 0) return { decision: 'hold', reason: 'inhibited', by, untilUs: nowUs + INHIBITED_RECHECK_US };
  const waitsUntilUs = queuedUs + rules.inhibitWaitUs;
  if (nowUs < waitsUntilUs) return { decision: 'hold', reason: 'waiting', by: [], untilUs: waitsUntilUs };
  return undefined;
}

function isOver({ incident }: ClaimedNotification): boolean {
  return incident.resolvedAtUs !== undefined || incident.retracted;
}
