import { rmSync } from 'node:fs';
import { runProgram } from '../e2e/run-program.js';
import type { Scene } from '../e2e/scene.js';
import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import type { Fault } from './fault.js';
import { NumberedDevice, withDevice } from './numbered-device.js';

const STEP_US = 2000;

/** Between the losing of answers and the backup, at the most. */
const BEFORE_MS_MAX = 1500;

export const backupAndRestore: Fault = {
  number: 47,
  title: 'backup and restore while writing',
  times: 10,
  shortTimes: 1,
  run: ({ times, random, log }) =>
    withDevice(
      'f47',
      async (device, scene) => {
        const problems: string[] = [];
        await device.start();
        for (let round = 0; round < times; round++) {
          // This one goes on sending, and being acknowledged, while the backup is made.
          const busy = await busyDevice(scene, `busy-${round}`);
          await until('both are stored', async () => (await scene.observer.sums(busy.name)).stored > 1000);
          const { registrations } = (await scene.status('device')).uplink;
          // What the numbered device sends from here on is stored and never acknowledged, so it will come again.
          scene.proxy.set({ dropDown: true });
          await pause(random() * BEFORE_MS_MAX);
          const before = await scene.observer.sums(busy.name);
          await command(scene, ['backup', '--config', scene.rig.path('collector.yaml'), '--to', copyOf(scene)]);
          const after = await scene.observer.sums(busy.name);
          if (after.stored <= before.stored) problems.push(`round ${round + 1}: nothing was written during the backup`);
          await scene.killAgent(busy.name);
          await scene.killCollector();
          for (const part of ['', '-wal', '-shm']) rmSync(scene.rig.path(`collector.db${part}`), { force: true });
          await command(scene, ['restore', '--config', scene.rig.path('collector.yaml'), '--from', copyOf(scene)]);
          await scene.restartCollector();
          problems.push(
            ...(await prefixProblems(scene, busy, before.stored)).map((why) => `round ${round + 1}: ${why}`),
          );
          scene.proxy.cut();
          scene.proxy.heal();
          await scene.untilStatus('device', 'it is back', ({ uplink }) => uplink.registrations > registrations);
          log(`${round + 1} backups restored`);
        }
        const { counts, problems: wrong } = await device.settle();
        return {
          ...counts,
          problems: [...problems, ...wrong],
          figures: `${times} backups, restored over a later store`,
        };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '200ms' } } },
    ),
};

const copyOf = (scene: Scene) => scene.rig.path('copy.db');

async function busyDevice(scene: Scene, name: string): Promise<NumberedDevice> {
  await scene.rig.device(name);
  const collector = { address: `127.0.0.1:${scene.collectorPort}`, streamAge: '200ms' };
  const busy = new NumberedDevice(scene, name, { collector }, STEP_US);
  await busy.start();
  return busy;
}

/** What is restored of a device that was being written is a beginning of what it sent, with all from before the backup. */
async function prefixProblems(scene: Scene, busy: NumberedDevice, atLeast: number): Promise<string[]> {
  const problems: string[] = [];
  const found = await scene.observer.readings(busy.name);
  const { counts, problems: wrong } = busy.ledger.compare(found, 0);
  if (counts.stored < atLeast) problems.push(`${counts.stored} are restored, and ${atLeast} were stored before`);
  if (counts.altered + counts.duplicates > 0) problems.push('what is restored is altered or doubled');
  const sums = await scene.observer.sums(busy.name);
  if (sums.missing + sums.doubled > 0)
    problems.push(`${sums.missing} missing, ${sums.doubled} doubled in what is restored`);
  return [...problems, ...wrong];
}

async function command(scene: Scene, parameters: string[]): Promise<void> {
  const { code, err, out } = await runProgram('collector', parameters, scene.rig.folder);
  if (code !== 0) throw new Error(`${parameters[0]} ended with ${code}: ${err}${out}`);
}
