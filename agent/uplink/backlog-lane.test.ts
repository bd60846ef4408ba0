import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { BacklogLane } from './backlog-lane.js';

describe('the lane of a backlog', () => {
  it('is live while little waits, however old it is', () => {
    const lane = new BacklogLane(30_000, 1000);
    expect(lane.laneOf(1, 1000, 1e9)).toBe(Lane.LIVE);
    expect(lane.laneOf(1, 1001, 1e9)).toBe(Lane.BACKFILL);
  });

  it('is live from the first sequence that was appended within the bound', () => {
    const lane = new BacklogLane(30_000, 1000);
    for (let second = 0; second < 100; second++) lane.appended(second, second * 1000);
    // At 100 s what was appended from 70 s on is live: above sequence 70.
    expect(lane.laneOf(70, 5000, 100_000)).toBe(Lane.BACKFILL);
    expect(lane.laneOf(71, 5000, 100_000)).toBe(Lane.LIVE);
  });

  it('is backfill when nothing was appended for a long time, or by an earlier run', () => {
    const lane = new BacklogLane(30_000, 1000);
    expect(lane.laneOf(5, 5000, 0)).toBe(Lane.BACKFILL);
    lane.appended(9, 0);
    expect(lane.laneOf(10, 5000, 60_000)).toBe(Lane.BACKFILL);
    expect(lane.laneOf(10, 5000, 10_000)).toBe(Lane.LIVE);
    lane.clear();
    expect(lane.laneOf(10, 5000, 10_000)).toBe(Lane.BACKFILL);
  });

  it('keeps a bounded number of marks', () => {
    const lane = new BacklogLane(3_600_000, 0);
    for (let second = 0; second < 1000; second++) lane.appended(second, second * 1000);
    expect(lane.laneOf(900, 1, 1_000_000)).toBe(Lane.BACKFILL);
    expect(lane.laneOf(990, 1, 1_000_000)).toBe(Lane.LIVE);
  });
});
