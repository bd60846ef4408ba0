import { join } from 'node:path';
import { pause } from '../rig/pause.js';
import type { Fault } from './fault.js';
import { LoopDisk } from './loop-disk.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;
const LIFE_MS_MAX = 2000;

export const powerCutCollector: Fault = {
  number: 6,
  title: 'power cut of the collector',
  times: 50,
  shortTimes: 3,
  needs: ['linux', 'root', 'loop'],
  run: async ({ times, random, folder, log }) => {
    const disk = new LoopDisk(folder, 'disk');
    const path = join(disk.mountPoint, 'collector.db');
    try {
      return await withDevice(
        'f6',
        async (device, scene) => {
          await device.start();
          for (let cut = 0; cut < times; cut++) {
            const { registrations } = (await scene.status('device')).uplink;
            await pause(random() * LIFE_MS_MAX);
            scene.collectorProcess.signal('SIGSTOP');
            disk.cut();
            await scene.killCollector();
            disk.restore();
            await scene.restartCollector();
            await scene.untilStatus('device', 'it is back', ({ uplink }) => uplink.registrations > registrations);
            log(`${cut + 1} cuts`);
          }
          // What was acknowledged before a cut is gone from the device: were it lost, it would be missing now.
          const { counts, problems } = await device.settle();
          return { ...counts, problems, figures: `${times} images, each opened` };
        },
        {
          stepUs: STEP_US,
          collector: { store: { sqlite: { path } } },
          agent: { collector: { streamAge: '200ms' } },
        },
      );
    } finally {
      disk.close();
    }
  },
};
