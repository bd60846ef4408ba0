import {
  commonRanges,
  normalRanges,
  rangeOf,
  rangesWithout,
  type SequenceRanges,
} from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { DeferralReason, type Rejection, type UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';

/** An answer in the uplink's terms. Whatever it names beyond what was sent is left out: it is not this stream's to judge. */
export interface UploadVerdicts {
  durable: SequenceRange[];
  rejected: Rejection[];
  forked: SequenceRange[];
  /** Sent, and neither durable nor rejected nor forked nor deferred: stays in doubt and is sent again. */
  unnamed: SequenceRange[];
  /** These alone step aside; the others go on. */
  held: SequenceRange[];
  heldMs: number;
  /** The whole lane waits so long; undefined when nothing was deferred that concerns it. */
  pauseMs: number | undefined;
  pauseReason: DeferralReason;
  registerAgain: boolean;
  /** The collector stops: look for another. */
  leaving: boolean;
}

/** A rejected sequence is one; a collector that names more than a stream can carry is not believed. */
const rejectionsMax = 65_536;

/** A day: a collector's mistake must not silence a device for longer. */
const delayMsMax = 86_400_000;

/** An item of an unknown kind waits for an upgrade, not for milliseconds. */
const heldMsMin = 10_000;

/** Sorts an answer. Contradictions end on the safe side: forked is not acknowledged, durable is not quarantined. */
export function uploadVerdicts(response: UploadResponse, sent: SequenceRanges): UploadVerdicts {
  const forked = commonRanges(normalRanges(response.forked), sent);
  const durable = rangesWithout(commonRanges(normalRanges(response.durable), sent), forked);
  const rejected: Rejection[] = [];
  const seen = new Set<number>();
  for (const rejection of response.rejected.slice(0, rejectionsMax)) {
    const { sequence } = rejection;
    if (seen.has(sequence) || rangeOf(sent, sequence) === undefined) continue;
    if (rangeOf(durable, sequence) !== undefined || rangeOf(forked, sequence) !== undefined) continue;
    seen.add(sequence);
    rejected.push(rejection);
  }
  const verdicts: UploadVerdicts = {
    durable,
    rejected,
    forked,
    unnamed: [],
    held: [],
    heldMs: 0,
    pauseMs: undefined,
    pauseReason: DeferralReason.UNSPECIFIED,
    registerAgain: false,
    leaving: false,
  };
  const deferred: SequenceRange[] = [];
  for (const { range, reason, delayMs } of response.later) {
    if (range !== undefined) deferred.push(range);
    const boundedMs = Math.min(delayMs, delayMsMax);
    if (reason === DeferralReason.UNKNOWN_ENCODING && range !== undefined) {
      verdicts.held.push(range);
      verdicts.heldMs = Math.max(verdicts.heldMs, boundedMs, heldMsMin);
      continue;
    }
    if (boundedMs >= (verdicts.pauseMs ?? 0)) verdicts.pauseReason = reason;
    verdicts.pauseMs = Math.max(verdicts.pauseMs ?? 0, boundedMs);
    if (reason === DeferralReason.REGISTER_AGAIN || reason === DeferralReason.FUTURE) verdicts.registerAgain = true;
    if (reason === DeferralReason.SHUTDOWN) verdicts.leaving = true;
  }
  const settled = normalRanges([
    ...durable,
    ...forked,
    ...rejected.map(({ sequence }) => ({ first: sequence, last: sequence })),
  ]);
  verdicts.held = rangesWithout(commonRanges(normalRanges(verdicts.held), sent), settled);
  verdicts.unnamed = rangesWithout(rangesWithout(sent, settled), normalRanges(deferred));
  return verdicts;
}
