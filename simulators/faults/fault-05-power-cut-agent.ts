import { join } from 'node:path';
import { pause } from '../rig/pause.js';
import { readDeadBuffer } from './dead-buffer.js';
import type { Fault } from './fault.js';
import { LoopDisk } from './loop-disk.js';
import { withDevice } from './numbered-device.js';

const LIFE_MS_MAX = 1200;

export const powerCutAgent: Fault = {
  number: 5,
  title: 'power cut of the agent',
  times: 100,
  shortTimes: 3,
  needs: ['linux', 'root', 'loop'],
  run: async ({ times, random, folder, log }) => {
    const disk = new LoopDisk(folder, 'card');
    const path = join(disk.mountPoint, 'device.db');
    try {
      return await withDevice(
        'f5',
        async (device, scene) => {
          const problems: string[] = [];
          for (let cut = 0; cut < times; cut++) {
            await device.start();
            await pause(random() * LIFE_MS_MAX);
            const { buffer } = await scene.status('device');
            scene.agentProcess('device').signal('SIGSTOP');
            disk.cut();
            await scene.killAgent('device');
            disk.restore();
            // What the agent had said to be in its buffer must lie on the disk that was cut.
            const { readingsProduced } = readDeadBuffer(path);
            if (readingsProduced < buffer.readingsProduced) {
              problems.push(
                `cut ${cut + 1}: ${readingsProduced} of ${buffer.readingsProduced} committed are on the disk`,
              );
            }
            device.note();
            if (random() < 0.25) scene.cutLink();
            else scene.proxy.heal();
            log(`${cut + 1} cuts, ${device.ledger.produced} readings`);
          }
          await device.start();
          const { counts, problems: wrong } = await device.settle();
          return { ...counts, problems: [...problems, ...wrong], figures: `${times} images, each opened` };
        },
        { agent: { buffer: { path } } },
      );
    } finally {
      disk.close();
    }
  },
};
