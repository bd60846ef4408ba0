import { eventUs, newEventTimeScale, setEventTimeScale } from '@tributary/core/event-time/event-time-scale';
import type { Batch } from '@tributary/proto/batch/batch';

/** First and last event time of a batch; `any` is false for a batch without rows. */
export interface EventTimeSpan {
  firstUs: number;
  lastUs: number;
  any: boolean;
}

const scratch = newEventTimeScale();

/** Finds the span of a batch. Order is kept by the scale, so only two instants are converted. */
export function findEventTimeSpan(batch: Batch, offsetUs: number, span: EventTimeSpan): void {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const { times, rows } of batch.groups) {
    for (let row = 0; row < rows; row++) {
      const time = times[row];
      if (time < least) least = time;
      if (time > greatest) greatest = time;
    }
  }
  span.any = least <= greatest;
  if (!span.any) return;
  setEventTimeScale(batch, offsetUs, scratch);
  span.firstUs = eventUs(scratch, least);
  span.lastUs = eventUs(scratch, greatest);
}
