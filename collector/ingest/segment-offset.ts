import { isVouched } from '@tributary/core/clock/clock-observation';
import { type ClockAnchor, ClockState, type SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';

/**
 * A device that says that it knows the time is believed when it is this near to the collector's estimate. NTP keeps a device
 * within a fraction of a second; the rest is what a slow link may take to bring the request here, which makes the estimate
 * late by as much.
 */
const BELIEVED_TOLERANCE_US = 5_000_000;

/** What crystals drift at the most: an older claim may be off by so much of the time since, and have been right. */
const DRIFT_PER_US = 200e-6;

/** The moment of a Register on both clocks. */
export interface ClockExchange {
  /** The collector's wall clock as the request came. */
  receivedAtUs: number;
  /** The device's monotonic clock as the request left, and the segment whose line that is. */
  monotonicUs: number;
  segment: number;
}

export interface Settled {
  segments: SegmentDeclaration[];
  anchors: ClockAnchor[];
  /** Claims to know the time that the collector's clock contradicts. */
  corrected: number;
}

/**
 * What a registration declares, with the offsets that the collector settles on. Only the exchange's own segment can be
 * compared; of earlier ones the device's word stands, with the state that the device gives it. A segment of which the device
 * knows nothing gets the collector's estimate. That is late by the request's time on the way, which is unknown and counted in
 * the uncertainty; it gives way to what the device itself makes of the exchange.
 */
export function settleClaims(
  segments: readonly SegmentDeclaration[],
  anchors: readonly ClockAnchor[],
  exchange: ClockExchange,
): Settled {
  let corrected = 0;
  const estimate = {
    offsetUs: exchange.receivedAtUs - exchange.monotonicUs,
    uncertaintyUs: BELIEVED_TOLERANCE_US,
    state: ClockState.ESTIMATED,
  };
  const isContradicted = (offsetUs: number, atUs: number) => {
    const driftUs = Math.abs(exchange.monotonicUs - atUs) * DRIFT_PER_US;
    return Math.abs(offsetUs - estimate.offsetUs) > BELIEVED_TOLERANCE_US + driftUs;
  };
  return {
    segments: segments.map((segment) => {
      if (segment.id !== exchange.segment) return segment;
      if (isVouched(segment)) {
        if (!isContradicted(segment.offsetUs, segment.observedAtUs)) return segment;
        corrected++;
      }
      return { ...segment, ...estimate, observedAtUs: exchange.monotonicUs };
    }),
    anchors: anchors.map((anchor) => {
      if (anchor.segment !== exchange.segment || !isVouched(anchor)) return anchor;
      if (!isContradicted(anchor.offsetUs, anchor.atUs)) return anchor;
      corrected++;
      return { ...anchor, ...estimate, atUs: exchange.monotonicUs };
    }),
    corrected,
  };
}
