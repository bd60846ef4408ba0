import type { FailpointName } from '@tributary/core/failpoint/failpoint';
import { pause } from '../rig/pause.js';
import type { Fault } from './fault.js';
import { FileShim } from './file-shim.js';
import { type NumberedDevice, withDevice } from './numbered-device.js';

const STEP_US = 4000;

/** A failpoint is armed for one of its first hits: at the start of a life, and well into it. */
const HIT_MAX = 12;

/** A checkpoint of the buffer writes some hundred pages, that of a collector which ends as many as it has changed. */
const CHECKPOINT_HIT_MAX = 40;

/** Many small commits bring the next checkpoint sooner. */
const SMALL_BATCHES = { maxAge: '20ms', maxAgeOffline: '20ms' };

/** How long a failpoint may take to be reached. */
const REACHED_MS = 90_000;

type Point = { at: 'device' | 'collector'; name: FailpointName | 'checkpoint' };

const points: readonly Point[] = [
  { at: 'device', name: 'buffer-before-commit' },
  { at: 'collector', name: 'store-before-commit' },
  { at: 'device', name: 'buffer-after-commit' },
  { at: 'collector', name: 'store-after-commit' },
  { at: 'device', name: 'buffer-delete' },
  { at: 'collector', name: 'upload-before-answer' },
  { at: 'device', name: 'upload-send' },
  { at: 'device', name: 'upload-rotate' },
  { at: 'device', name: 'upload-acknowledged' },
  { at: 'device', name: 'checkpoint' },
  { at: 'collector', name: 'checkpoint' },
];

export const failpoints: Fault = {
  number: 7,
  title: 'killed at each failpoint',
  times: 10 * points.length,
  shortTimes: 4,
  needs: ['linux', 'compiler'],
  run: async ({ times, random, folder, log }) => {
    const shim = new FileShim(folder);
    return withDevice(
      'f7',
      async (device, scene) => {
        const hits = new Map<string, number>();
        scene.mayEnd.add('device').add('collector');
        // The short form is a beginning of it: which, chance decides.
        const order = points.map((point) => ({ point, by: random() })).sort((a, b) => a.by - b.by);
        for (let kill = 0; kill < times; kill++) {
          const { point } = order[kill % order.length]!;
          const hit = Math.ceil(HIT_MAX * random());
          const database = point.at === 'device' ? 'device.db$' : 'collector.db$';
          const env: Record<string, string> =
            point.name === 'checkpoint'
              ? shim.env({
                  match: database,
                  every: Math.ceil(CHECKPOINT_HIT_MAX * random()),
                  only: 'write',
                  kills: true,
                })
              : { TRIBUTARY_FAILPOINT: `${point.name}:${hit}` };
          if (point.at === 'device') await agentDies(device, env);
          else await collectorDies(device, env, point.name === 'checkpoint');
          hits.set(`${point.at} ${point.name}`, (hits.get(`${point.at} ${point.name}`) ?? 0) + 1);
          log(`${kill + 1} kills, the last at ${point.name} of the ${point.at}`);
        }
        await device.start();
        const { counts, problems } = await device.settle();
        return { ...counts, problems, figures: [...hits].map(([name, count]) => `${count} at ${name}`).join(', ') };
      },
      { stepUs: STEP_US, agent: { batching: SMALL_BATCHES, collector: { streamAge: '100ms' } } },
    );
  },
};

/** Starts an agent that dies at its failpoint, perhaps before it samples, and notes what it had committed. */
async function agentDies(device: NumberedDevice, env: Record<string, string>): Promise<void> {
  const { scene, name } = device;
  scene.env.set(name, env);
  const started = device.start().catch(() => {});
  await reached('agent', scene.rig.latest(name)!.exited);
  await started;
  scene.env.delete(name);
  device.note();
}

/** The agent samples while the collector dies, and comes back to the next one. */
async function collectorDies(device: NumberedDevice, env: Record<string, string>, atItsEnd: boolean): Promise<void> {
  const { scene } = device;
  await device.start();
  await scene.untilStatus(device.name, 'it is connected', ({ uplink }) => uplink.registrations > 0);
  await scene.stopCollector();
  scene.env.set('collector', env);
  const started = scene.restartCollector().catch(() => {});
  const dying = scene.rig.latest('collector')!;
  // Its log is checkpointed when it has 16 MiB, or at the end of the process.
  if (atItsEnd) {
    await started;
    await scene.untilStatus(device.name, 'it is back', ({ uplink }) => uplink.registrations > 1);
    await scene.stopCollector();
  }
  await reached('collector', dying.exited);
  await started;
  scene.env.delete('collector');
  await scene.restartCollector();
  await scene.stopAgent(device.name);
  device.note();
}

async function reached(what: string, exited: Promise<unknown>): Promise<void> {
  const late = pause(REACHED_MS).then(() => 'late');
  if ((await Promise.race([exited, late])) === 'late') throw new Error(`the ${what} did not come to its failpoint`);
}
