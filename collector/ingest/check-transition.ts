import { TRANSITION_LIMITS } from '@tributary/core/rules/transition-limits';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { DeferralReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import { type Refusal, rejected } from './check-item.js';
import { checkMap, checkText } from './check-text.js';
import type { EpochSession } from './device-session.js';
import type { PendingItem } from './pending-item.js';

const { MALFORMED, COUNT, TOO_LARGE } = RejectionReason;

const registerAgain: Refusal = { verdict: 'later', reason: DeferralReason.REGISTER_AGAIN };
const unknownEncoding: Refusal = { verdict: 'later', reason: DeferralReason.UNKNOWN_ENCODING };

const textLimits = {
  entriesMax: TRANSITION_LIMITS.entriesMax,
  keyBytesMax: TRANSITION_LIMITS.keyBytesMax,
  valueBytesMax: TRANSITION_LIMITS.valueBytesMax,
};

/**
 * Reads and checks a transition of an incident that the device evaluates, and resolves its times. Whether the collector
 * knows the rule does not matter: the device is the authority.
 */
export function checkTransition(item: PendingItem): Refusal | undefined {
  if (item.readings !== 0) return rejected(COUNT, `readings: ${item.readings}; a transition holds none`);
  const { bytesMax } = TRANSITION_LIMITS;
  if (item.body.length > bytesMax) {
    return rejected(TOO_LARGE, `body: ${item.body.length} bytes; a transition has at most ${bytesMax}`);
  }
  let transition: IncidentTransition;
  try {
    transition = IncidentTransition.decode(item.body);
  } catch {
    return rejected(MALFORMED, 'body: not an IncidentTransition');
  }
  // A state that a later version knows.
  if (transition.state > AlertState.UNKNOWN || transition.state < 0) return unknownEncoding;
  const problem = problemOf(transition);
  if (problem !== undefined) return rejected(MALFORMED, problem);
  const epoch = item.epochSession;
  if (transition.seriesId !== 0 && epoch.series[transition.seriesId] === undefined) return registerAgain;
  return resolveTimes(item, transition, epoch);
}

function problemOf(transition: IncidentTransition): string | undefined {
  const { state, onsetEpoch, onsetSequence, startedUs, startedSegment, transitionUs, transitionSegment } = transition;
  if (state !== AlertState.FIRING && state !== AlertState.RESOLVED) {
    return `state: ${state}; 2 (firing) or 3 (resolved) is needed`;
  }
  if (onsetEpoch.length !== EPOCH_BYTES) {
    return `onset_epoch: ${onsetEpoch.length} bytes; ${EPOCH_BYTES} are needed`;
  }
  if (onsetSequence < 1) return `onset_sequence: ${onsetSequence}; sequences count up from 1`;
  if (startedSegment === transitionSegment && startedUs > transitionUs) {
    return `started_us: ${startedUs}; it must not be later than transition_us ${transitionUs}`;
  }
  return (
    checkText('rule', transition.rule, 1, TRANSITION_LIMITS.ruleBytesMax) ??
    checkText('rule_version', transition.ruleVersion, 0, TRANSITION_LIMITS.ruleVersionBytesMax) ??
    checkText('severity', transition.severity, 1, TRANSITION_LIMITS.severityBytesMax) ??
    checkMap('labels', transition.labels, textLimits) ??
    checkMap('annotations', transition.annotations, { ...textLimits, takesLines: true })
  );
}

/** The times are frozen with the item, like those of a batch: of the onset as its first, of the transition as its last. */
function resolveTimes(item: PendingItem, transition: IncidentTransition, epoch: EpochSession): Refusal | undefined {
  const { startedUs, startedSegment, transitionUs, transitionSegment } = transition;
  const began = clockOf(epoch, startedSegment, startedUs);
  const made = clockOf(epoch, transitionSegment, transitionUs);
  if (began === undefined || made === undefined) return registerAgain;
  item.offsetUs = made.offsetUs;
  item.quality = made.state;
  item.lastUs = transitionUs + made.offsetUs;
  // Two segments may be placed so that the later one begins earlier.
  item.firstUs = Math.min(startedUs + began.offsetUs, item.lastUs);
  if (!Number.isSafeInteger(item.firstUs) || !Number.isSafeInteger(item.lastUs)) {
    return rejected(MALFORMED, 'started_us, transition_us: beyond what 2^53 microseconds around 1970 can hold');
  }
  item.transition = transition;
  return undefined;
}

function clockOf(
  epoch: EpochSession,
  segment: number,
  us: number,
): { offsetUs: number; state: ClockState } | undefined {
  return segment === 0 ? { offsetUs: 0, state: ClockState.SYNCHRONIZED } : epoch.clockAt(segment, us);
}
