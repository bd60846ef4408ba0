import {
  anchorsBySegment,
  clockRank,
  declaredObservation,
  isVouched,
  SegmentLine,
} from '@tributary/core/clock/clock-observation';
import type { ClockAnchor, ClockState, SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { unknownUncertaintyUs } from './clock-watch.js';

/** Written as a number, because the generated enumeration would load gRPC. */
const placed: ClockState.PLACED = 4;

/** Where nothing bounds it, a machine is taken to have been off for so long between two stretches: no boot is faster. */
const leastGapUs = 1_000_000;

/** A stretch of the monotonic line, from its first moment to the last that is known of. */
interface Stretch {
  segment: SegmentDeclaration;
  line: SegmentLine;
  firstUs: number;
  lastUs: number;
  /** Somebody vouches for it, or it was placed before. */
  isFixed: boolean;
}

/**
 * Places the segments before `current` that never knew the time, now that the current one does: in order between the
 * neighbours that have a place, what time is left over spread evenly between them. Without a neighbour before them they lie
 * right before the one behind. Nothing while nobody vouches for the current segment.
 */
export function placeSegments(
  segments: readonly SegmentDeclaration[],
  anchors: readonly ClockAnchor[],
  current: number,
): Omit<ClockAnchor, 'id'>[] {
  const stretches = stretchesOf(segments, anchors, current);
  const last = stretches.at(-1);
  if (last === undefined || !isVouched(last.line.at(last.lastUs))) return [];
  const found: Omit<ClockAnchor, 'id'>[] = [];
  let before: Stretch | undefined;
  let unknown: Stretch[] = [];
  for (const stretch of stretches) {
    if (!stretch.isFixed) {
      unknown.push(stretch);
      continue;
    }
    if (unknown.length > 0) found.push(...placeBetween(before, unknown, stretch));
    unknown = [];
    before = stretch;
  }
  return found;
}

/** Whether there are segments before the current one that have no place yet. */
export function hasUnplaced(
  segments: readonly SegmentDeclaration[],
  anchors: readonly ClockAnchor[],
  current: number,
): boolean {
  return stretchesOf(segments, anchors, current - 1).some(({ isFixed }) => !isFixed);
}

function stretchesOf(
  segments: readonly SegmentDeclaration[],
  anchors: readonly ClockAnchor[],
  until: number,
): Stretch[] {
  const bySegment = anchorsBySegment(anchors);
  return segments.filter(({ id }) => id <= until).map((segment) => stretchOf(segment, bySegment.get(segment.id) ?? []));
}

function stretchOf(segment: SegmentDeclaration, anchors: readonly ClockAnchor[]): Stretch {
  const line = new SegmentLine(segment, anchors);
  const all = [declaredObservation(segment), ...anchors];
  const firstUs = all.reduce((first, { atUs }) => Math.min(first, atUs), Number.POSITIVE_INFINITY);
  const isFixed = all.some((one) => clockRank(one) <= clockRank({ state: placed, uncertaintyUs: Infinity }));
  return { segment, line, firstUs, lastUs: line.lastUs, isFixed };
}

function placeBetween(
  before: Stretch | undefined,
  unknown: readonly Stretch[],
  behind: Stretch,
): Omit<ClockAnchor, 'id'>[] {
  const beginning = behind.line.at(behind.firstUs);
  const untilUs = behind.firstUs + beginning.offsetUs;
  const end = before?.line.at(before.lastUs);
  const takenUs = unknown.reduce((sum, { firstUs, lastUs }) => sum + lastUs - firstUs, 0);
  const gaps = unknown.length + 1;
  // Less time than the stretches lasted is a contradiction of the clocks; the order among them and before what follows holds.
  const slackUs =
    before === undefined || end === undefined
      ? undefined
      : Math.max(0, untilUs - before.lastUs - end.offsetUs - takenUs);
  const gapUs = slackUs === undefined ? leastGapUs : Math.floor(slackUs / gaps);
  let startUs = untilUs - takenUs - gapUs * unknown.length;
  return unknown.map(({ segment, firstUs, lastUs }, at) => {
    const offsetUs = startUs - firstUs;
    startUs += lastUs - firstUs + gapUs;
    // It can have been anywhere in the slack: at the worst before all of the gaps before it, or after all those behind.
    const room =
      slackUs === undefined
        ? unknownUncertaintyUs
        : Math.ceil((slackUs * Math.max(at + 1, unknown.length - at)) / gaps);
    const uncertaintyUs = room + beginning.uncertaintyUs + (end?.uncertaintyUs ?? 0);
    return { segment: segment.id, atUs: firstUs, offsetUs, uncertaintyUs, state: placed };
  });
}
