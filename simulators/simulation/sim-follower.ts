import type { Follower } from '@tributary/collector/ingest/committed';
import type { DerivedPipeline } from '@tributary/collector/rules/pipeline';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { hex } from './sim-store.js';
import { Violation } from './violation.js';
import type { World } from './world.js';

export interface SimFollowerOptions {
  world: World;
  /** What all collectors of a store have followed. */
  followed: Set<string>;
  /** Event times of live batches that are with the store, by device, epoch and sequence. */
  oldestLive: Map<string, number>;
  /** What evaluates rules, in a run in which they are. */
  derived: DerivedPipeline | undefined;
  /** A collector that forgets devices forgets their watermarks too. */
  keepsWatermarks: boolean;
}

/** Checks that each item is followed once, and live ones never behind a watermark; hands all on to the rules. */
export function simFollower(options: SimFollowerOptions): Follower {
  const { world, followed, oldestLive, derived, keepsWatermarks } = options;
  const watermarks = new Map<number, number>();
  const settle = () => {
    if (derived !== undefined) world.settle();
  };
  return {
    note: (notes) => derived?.note(notes),
    heard: (deviceId) => derived?.heard(deviceId),
    committed: (deviceId, position) => {
      derived?.committed(deviceId, position);
      settle();
    },
    uncertain: (deviceId) => {
      derived?.uncertain(deviceId);
      settle();
    },
    follow: (batches) => {
      derived?.follow(batches);
      for (const { deviceId, epochId, epoch, sequence, lane } of batches) {
        const key = `${deviceId}/${hex(epoch)}/${sequence}`;
        if (followed.has(key)) throw new Violation('I1', `${key} was followed twice`);
        followed.add(key);
        const begun = `${deviceId}/${epochId}/${sequence}`;
        const oldestUs = oldestLive.get(begun);
        oldestLive.delete(begun);
        const saidUs = watermarks.get(deviceId) ?? Number.NEGATIVE_INFINITY;
        if (!keepsWatermarks) continue;
        if (lane !== Lane.LIVE || (oldestUs !== undefined && oldestUs >= saidUs)) continue;
        throw new Violation('I6', `${key} of ${oldestUs} us is followed as live, after a watermark of ${saidUs} us`);
      }
    },
    watermark: (watermark) => {
      const { deviceId, untilUs } = watermark;
      derived?.watermark(watermark);
      settle();
      const before = watermarks.get(deviceId) ?? Number.NEGATIVE_INFINITY;
      if (keepsWatermarks && untilUs < before) {
        throw new Violation('I6', `the watermark of device ${deviceId} went back`);
      }
      watermarks.set(deviceId, untilUs);
    },
  };
}
