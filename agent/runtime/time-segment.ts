import { existsSync } from 'node:fs';
import type { Clock } from '@tributary/core/clock/clock';
import type { ClockState, SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { ClockExchange } from '../uplink/uplink.js';

/** Written as numbers, because the generated enumeration would load gRPC. */
const synchronized: ClockState = 1;
const estimated: ClockState = 2;
const unsynchronized: ClockState = 3;

/** systemd-timesyncd and its kin leave this file once the clock is right (systemd-timesyncd.service(8)). */
const synchronizedFile = '/run/systemd/timesync/synchronized';

/**
 * An offset that moved less than this is the same one: what NTP slews between two looks, and what two reads of two clocks
 * are apart. More is a step or a suspend, and begins a new segment.
 */
const sameOffsetUs = 1_000_000;

/** NTP over a poor link. */
const synchronizedUncertaintyUs = 50_000;

/** A clock that nobody vouches for can be anything; a day says so without overflowing anybody's arithmetic. */
const unknownUncertaintyUs = 86_400_000_000;

type Segment = Omit<SegmentDeclaration, 'id'>;

/** What a segment for this moment says, by this device's own clocks. */
export function observedSegment(clock: Clock, bootId: string, file = synchronizedFile): Segment {
  const observedAtUs = clock.monotonicUs();
  const isSynchronized = existsSync(file);
  return {
    bootId,
    offsetUs: clock.wallUs() - observedAtUs,
    observedAtUs,
    uncertaintyUs: isSynchronized ? synchronizedUncertaintyUs : unknownUncertaintyUs,
    state: isSynchronized ? synchronized : unsynchronized,
  };
}

/** A segment by the collector's clock: the offset of RFC 5905 section 8, uncertain by half the round trip. */
export function estimatedSegment(comparison: ClockExchange, bootId: string): Segment | undefined {
  const { sentUs, answeredUs, collectorReceivedUs, collectorSentUs } = comparison;
  const roundTripUs = answeredUs - sentUs - (collectorSentUs - collectorReceivedUs);
  if (collectorReceivedUs <= 0 || collectorSentUs < collectorReceivedUs || roundTripUs < 0) return undefined;
  return {
    bootId,
    offsetUs: Math.round((collectorReceivedUs - sentUs + (collectorSentUs - answeredUs)) / 2),
    observedAtUs: answeredUs,
    uncertaintyUs: Math.ceil(roundTripUs / 2),
    state: estimated,
  };
}

/**
 * Whether times can go on in the segment `now` where they would begin one like `next`: the same boot, as well known or
 * better, and the same offset. A device's own synchronised clock is better than an estimate, and any is better than none.
 */
export function continues(now: Segment, next: Segment): boolean {
  if (now.bootId !== next.bootId) return false;
  // A clock that nobody vouches for says nothing against one that somebody does, unless it has jumped since.
  if (next.state > now.state) return true;
  return next.state === now.state && Math.abs(now.offsetUs - next.offsetUs) < sameOffsetUs;
}

/**
 * Whether the wall clock has jumped against the monotonic one between two looks: it was set, or the device slept.
 */
export function jumped(before: Segment, after: Segment): boolean {
  return Math.abs(before.offsetUs - after.offsetUs) >= sameOffsetUs;
}
