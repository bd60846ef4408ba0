import type { Batch } from '@tributary/proto/batch/batch';
import { describe, expect, it } from 'vitest';
import { type EventTimeSpan, findEventTimeSpan } from './event-time.js';

function batchOf(unitExponent: number, baseTime: bigint, times: number[]): Batch {
  return {
    segment: 0,
    unitExponent,
    baseTime,
    readings: 0,
    groups: [{ rows: times.length, times: Float64Array.from(times), columns: [] }],
  };
}

describe('the event time', () => {
  it('of a batch spans all its rows, in whatever order they are', () => {
    const span: EventTimeSpan = { firstUs: 0, lastUs: 0, any: false };
    findEventTimeSpan(batchOf(3, 1_700_000_000_000n, [5, -2, 9, 0]), 7, span);
    expect(span).toEqual({ firstUs: 1_699_999_999_998_007, lastUs: 1_700_000_000_009_007, any: true });
    findEventTimeSpan(batchOf(3, 0n, []), 0, span);
    expect(span.any).toBe(false);
  });
});
