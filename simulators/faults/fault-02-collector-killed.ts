import { pause } from '../rig/pause.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

/** A collector lives up to this long beyond its start: commits, answers and checkpoints are under way at its end. */
const LIFE_MS_MAX = 2000;

/** A row each 4 ms: 1,000 readings a second, for longer than the row can run. */
const STEP_US = 4000;

export const collectorKilled: Fault = {
  number: 2,
  title: 'collector killed',
  times: 50,
  shortTimes: 3,
  run: ({ times, random, log }) =>
    withDevice(
      'f2',
      async (device, scene) => {
        const restarts = new Durations();
        await device.start();
        for (let kill = 0; kill < times; kill++) {
          // What is acknowledged is gone from the device: were it lost here, it would be missing at the end.
          const { registrations } = (await scene.status('device')).uplink;
          await pause(random() * LIFE_MS_MAX);
          await scene.killCollector();
          const beginsMs = performance.now();
          await scene.restartCollector();
          restarts.add(performance.now() - beginsMs);
          await scene.untilStatus('device', 'it is back', ({ uplink }) => uplink.registrations > registrations);
          log(`${kill + 1} kills`);
        }
        const { counts, problems } = await device.settle();
        return { ...counts, problems, figures: restarts.text('restarts') };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '500ms' } } },
    ),
};
