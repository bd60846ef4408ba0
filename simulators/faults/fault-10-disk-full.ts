import { join } from 'node:path';
import type { Scene } from '../e2e/scene.js';
import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import { Durations } from './durations.js';
import type { Fault, FaultContext, FaultOutcome } from './fault.js';
import { type NumberedDevice, withDevice } from './numbered-device.js';
import { TmpfsDisk } from './tmpfs-disk.js';

/** Room for the buffer, its log and little more. */
const DISK_BYTES = 2 << 20;
/** The folder, lock, database, log and socket, and few more. */
const DISK_INODES = 16;
/** From the disk's taking writes again to readings on it. */
const RECOVERY_MS_MAX = 10_000;
const AWAY_MS_MIN = 500;
const AWAY_MS_MAX = 4_000;

export const diskFull: Fault = {
  number: 10,
  title: 'disk full under the buffer',
  times: 20,
  shortTimes: 2,
  needs: ['root', 'tmpfs'],
  run: (context) =>
    withRefusingDisk(context, [
      { refuse: (disk) => disk.fill(), atStart: true },
      { refuse: (disk) => disk.fill(), atStart: false },
    ]),
};

/** A way in which a disk refuses, before an agent starts or while it runs. */
export interface Refusal {
  refuse(disk: TmpfsDisk): void;
  atStart: boolean;
}

/** Lets the disk refuse in these ways in turn: the agent samples on, and uses the disk soon after it takes writes again. */
export function withRefusingDisk(context: FaultContext, refusals: readonly Refusal[]): Promise<FaultOutcome> {
  const disk = TmpfsDisk.mount(join(context.folder, 'disk'), DISK_BYTES, DISK_INODES);
  return withDevice(
    'refusing',
    async (device, scene) => {
      const recoveries = new Durations();
      const wrong: string[] = [];
      for (let time = 0; time < context.times; time++) {
        const { refuse, atStart } = refusals[time % refusals.length]!;
        if (atStart) refuse(disk);
        await device.start();
        if (!atStart) {
          await scene.untilStatus('device', 'readings are acknowledged', ({ uplink }) => uplink.itemsAcknowledged > 2);
          refuse(disk);
        }
        const before = await sampled(scene);
        await pause(AWAY_MS_MIN + context.random() * (AWAY_MS_MAX - AWAY_MS_MIN));
        await until('it samples on', async () => (await sampled(scene)) > before);
        disk.heal();
        recoveries.add(await recovery(device, scene));
        await scene.stopAgent('device');
        device.note();
        context.log(`${time + 1} times, ${device.ledger.produced} readings`);
      }
      const { counts, problems } = await device.settle();
      if (recoveries.worstMs > RECOVERY_MS_MAX * context.patience) {
        wrong.push(`readings were on the disk ${Math.round(recoveries.worstMs)} ms after it took writes again`);
      }
      return { ...counts, problems: [...wrong, ...problems], figures: recoveries.text('recoveries') };
    },
    { agent: { buffer: { path: join(disk.folder, 'buffer.db') } } },
  ).finally(() => disk.unmount());
}

async function sampled(scene: Scene): Promise<number> {
  const { readings } = await scene.status('device');
  return readings.taken + readings.pending;
}

/** Until the buffer takes what waited, in milliseconds. */
async function recovery(device: NumberedDevice, scene: Scene): Promise<number> {
  const beginsMs = performance.now();
  const { uplink } = await scene.status(device.name);
  await scene.untilStatus(
    device.name,
    'the buffer takes readings, and the collector has more of them',
    (status) => status.buffer.trouble === undefined && status.uplink.itemsAcknowledged > uplink.itemsAcknowledged,
  );
  return performance.now() - beginsMs;
}
