import { ClockState, type SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';

/**
 * A device that says it is synchronised is believed when it is this near to the collector's estimate. NTP keeps a device
 * within a fraction of a second; the rest is what a slow link may take to bring the request here, which makes the estimate
 * late by as much.
 */
const SYNCHRONIZED_TOLERANCE_US = 5_000_000;

/** The moment of a Register on both clocks. */
export interface ClockExchange {
  /** The collector's wall clock as the request came. */
  receivedAtUs: number;
  /** The device's monotonic clock as the request left, and the segment whose line that is. */
  monotonicUs: number;
  segment: number;
}

/**
 * The segments with the offset that the collector settles on. Only the exchange's own segment can be compared; of earlier
 * ones the device's word stands, with the state that the device gives it. An estimate is late by the request's time on the
 * way, which is unknown and counted in the uncertainty.
 */
export function settleSegments(
  segments: readonly SegmentDeclaration[],
  exchange: ClockExchange,
): { segments: SegmentDeclaration[]; corrected: number } {
  let corrected = 0;
  const settled = segments.map((segment) => {
    if (segment.id !== exchange.segment) return segment;
    const estimateUs = exchange.receivedAtUs - exchange.monotonicUs;
    const differenceUs = Math.abs(segment.offsetUs - estimateUs);
    const believed = segment.state === ClockState.SYNCHRONIZED || segment.state === ClockState.ESTIMATED;
    if (believed && differenceUs <= SYNCHRONIZED_TOLERANCE_US) return segment;
    corrected++;
    return {
      ...segment,
      offsetUs: estimateUs,
      observedAtUs: exchange.monotonicUs,
      uncertaintyUs: SYNCHRONIZED_TOLERANCE_US,
      state: ClockState.ESTIMATED,
    };
  });
  return { segments: settled, corrected };
}
