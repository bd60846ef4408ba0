import { Scene } from '../e2e/scene.js';
import { backfill, CheapDevices, compareAll, live } from './cheap-devices.js';
import { addCounts, type Fault, NOTHING } from './fault.js';
import { KEEP_ALL } from './numbered-device.js';

const DEVICES = 40;
/** A fifth of them was away for a day: 864,000 readings each. */
const AWAY = DEVICES / 5;
const BATCH_READINGS = 1000;
const DAY_BATCHES = 864;
const SHORT_BATCHES = 100;

const LIVE_P99_MS_MAX = 5000;

export const backlogAgainstLive: Fault = {
  number: 31,
  title: 'backlog against live',
  times: 2,
  shortTimes: 1,
  run: async ({ times, isShort, log, patience }) => {
    const problems: string[] = [];
    const figures: string[] = [];
    let counts = NOTHING;
    for (let time = 0; time < times; time++) {
      const scene = await Scene.open('f31', () => KEEP_ALL);
      try {
        const { rig, collectorPort, observer } = scene;
        const group = { batchReadings: BATCH_READINGS, batches: isShort ? SHORT_BATCHES : DAY_BATCHES };
        const away = await CheapDevices.prepare(rig, collectorPort, {
          ...group,
          name: 'away',
          devices: AWAY,
          pace: backfill,
        });
        const present = await CheapDevices.prepare(rig, collectorPort, {
          name: 'present',
          devices: DEVICES - AWAY,
          batches: 15,
          batchReadings: 10,
          streamItems: 1,
          pace: live(1000),
        });
        await Promise.all([away.register(), present.register()]);
        const beginsMs = performance.now();
        let backlogMs = 0;
        const draining = away.send().then(() => {
          backlogMs = performance.now() - beginsMs;
        });
        await Promise.all([draining, present.send()]);
        const p99Ms = present.answers.quantileMs(0.99);
        if (p99Ms > LIVE_P99_MS_MAX * patience) problems.push(`live p99 ${Math.round(p99Ms)} ms; at most 5000`);
        figures.push(
          `live p99 ${Math.round(p99Ms)} ms while ${away.readings} readings came in ${(backlogMs / 1000).toFixed(1)} s`,
        );
        const compared = await compareAll(observer, [away, present]);
        counts = addCounts(counts, compared.counts);
        problems.push(...compared.problems);
        away.close();
        present.close();
        log(figures.at(-1)!);
      } finally {
        await scene.close();
      }
    }
    return { ...counts, problems, figures: figures.join('; ') };
  },
};
