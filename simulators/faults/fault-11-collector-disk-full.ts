import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;
const DISK_BYTES = 48 * 1024 * 1024;

/** How long the disk stays full, once the collector refuses; at the most. */
const FULL_MS_MAX = 3000;

export const collectorDiskFull: Fault = {
  number: 11,
  title: 'disk full under the collector',
  times: 20,
  shortTimes: 2,
  needs: ['linux', 'root', 'tmpfs'],
  run: async ({ times, random, folder, log }) => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk], { stdio: 'pipe' });
    try {
      return await withDevice(
        'f11',
        async (device, scene) => {
          const recoveries = new Durations();
          await device.start();
          for (let time = 0; time < times; time++) {
            await scene.untilStatus('device', 'items are acknowledged', ({ uplink }) => uplink.itemsAcknowledged > 3);
            const pid = scene.collectorProcess.pid;
            const filler = join(disk, 'filler');
            fill(disk, filler);
            // Nothing is stored any more; what was acknowledged before that must still be there at the end.
            await until('the collector pushes back', async () => {
              const before = (await scene.observer.sums('device')).stored;
              await pause(700);
              fill(disk, `${filler}-${Date.now()}`);
              return (await scene.observer.sums('device')).stored === before;
            });
            await pause(random() * FULL_MS_MAX);
            execFileSync('sh', ['-c', `rm -f ${filler}*`]);
            const beginsMs = performance.now();
            const { stored } = await scene.observer.sums('device');
            await until(
              'readings are stored again',
              async () => (await scene.observer.sums('device')).stored > stored,
              60_000,
            );
            recoveries.add(performance.now() - beginsMs);
            if (scene.collectorProcess.pid !== pid) throw new Error('the collector was restarted');
            log(`${time + 1} times full, ${recoveries.text('recovered')}`);
          }
          const { counts, problems } = await device.settle();
          await scene.stopCollector();
          return { ...counts, problems, figures: `without a restart, ${recoveries.text('recovered')}` };
        },
        {
          stepUs: STEP_US,
          collector: { store: { sqlite: { path: join(disk, 'collector.db') } } },
          agent: { collector: { streamAge: '200ms' } },
        },
      );
    } finally {
      execFileSync('umount', ['-l', disk], { stdio: 'pipe' });
    }
  },
};

/** Leaves no page free. */
function fill(disk: string, file: string): void {
  const { bavail, bsize } = statfsSync(disk);
  if (bavail === 0) return;
  try {
    writeFileSync(file, Buffer.alloc(bavail * bsize));
  } catch {
    // Somebody else took the last pages meanwhile: it is full all the same.
  }
}
