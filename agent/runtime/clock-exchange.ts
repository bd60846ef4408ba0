import type { ClockObservation } from '@tributary/core/clock/clock-observation';
import type { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import type { ClockExchange } from '../uplink/uplink.js';

/** Written as a number, because the generated enumeration would load gRPC. */
const estimated: ClockState.ESTIMATED = 2;

/**
 * What an exchange with the collector says of the line that it was made on: the offset of RFC 5905 section 8, uncertain by
 * half the round trip. Undefined for one that cannot have been.
 */
export function estimate(exchange: ClockExchange): ClockObservation | undefined {
  const { sentUs, answeredUs, collectorReceivedUs, collectorSentUs } = exchange;
  const roundTripUs = answeredUs - sentUs - (collectorSentUs - collectorReceivedUs);
  if (collectorReceivedUs <= 0 || collectorSentUs < collectorReceivedUs || roundTripUs < 0) return undefined;
  return {
    atUs: answeredUs,
    offsetUs: Math.round((collectorReceivedUs - sentUs + (collectorSentUs - answeredUs)) / 2),
    uncertaintyUs: Math.ceil(roundTripUs / 2),
    state: estimated,
  };
}
