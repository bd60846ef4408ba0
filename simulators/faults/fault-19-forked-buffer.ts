import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { Scene } from '../e2e/scene.js';
import { pause } from '../rig/pause.js';
import { addCounts, type Fault, type FaultCounts, NOTHING } from './fault.js';
import { KEEP_ALL, NumberedDevice } from './numbered-device.js';

const STEP_US = 2000;

/** Of a life, at the most; the copies send in it. */
const LIFE_MS_MAX = 2500;

const PARTS = ['', '-wal', '-shm'];

export const forkedBuffer: Fault = {
  number: 19,
  title: 'cloned card; restored image',
  times: 20,
  shortTimes: 2,
  run: async ({ times, random, log }) => {
    const scene = await Scene.open('f19', () => KEEP_ALL);
    let counts: FaultCounts = NOTHING;
    const problems: string[] = [];
    let epochs = 0;
    try {
      for (let round = 0; round < times; round++) {
        // A device for each: what one fork leaves must not hide what the next does.
        const name = `d${round}`;
        await scene.rig.device(name);
        const device = new NumberedDevice(scene, name, {}, STEP_US);
        const isClone = round % 2 === 0;
        await (isClone ? cloned(device, random) : restored(device, random));
        const compared = await device.compare();
        counts = addCounts(counts, compared.counts);
        const found = (await scene.observer.sums(name)).epochs;
        if (found < 2) compared.problems.push('no fork was found');
        epochs += found;
        const kind = isClone ? 'clone' : 'image';
        problems.push(...compared.problems.map((problem) => `${kind} ${round + 1}: ${problem}`));
        log(`${round + 1} ${kind}, ${found} epochs`);
      }
    } catch (error) {
      await scene.close().catch(() => {});
      throw error;
    }
    await scene.close();
    return { ...counts, problems, figures: `${epochs} epochs of ${times} devices` };
  },
};

/** One life that leaves something unsent half of the time, and ends in order. */
async function life(device: NumberedDevice, random: () => number): Promise<void> {
  const { scene, name } = device;
  await device.start();
  await scene.untilStatus(name, 'something is acknowledged', ({ uplink }) => uplink.itemsAcknowledged > 2);
  await pause(random() * LIFE_MS_MAX);
  if (random() < 0.5) scene.cutLink();
  await pause(300);
  await ended(scene, device, name, device.ledger.latest);
  scene.proxy.heal();
}

/** Stops an agent in order: then all that it read is committed, and it says how much that was. */
async function ended(scene: Scene, device: NumberedDevice, name: string, number: number): Promise<void> {
  await scene.stopAgent(name);
  const stopped = scene.log(name).findLast(({ msg }) => msg === 'the agent has stopped');
  if (stopped === undefined || stopped.lost !== 0) throw new Error(`${name} lost readings as it stopped`);
  device.ledger.committedIn(number, Number(stopped.readings));
}

/** `cp -a` of the card, and both run at a time with one certificate. */
async function cloned(device: NumberedDevice, random: () => number): Promise<void> {
  const { scene, name } = device;
  await life(device, random);
  const clone = `${name}-clone`;
  const settings = { tls: scene.rig.tlsFiles(`device-${name}`) };
  copyParts(device.bufferPath, scene.rig.path(`${clone}.db`));
  await device.start();
  const original = device.ledger.latest;
  await scene.agent(clone, [device.ledger.next(20_000)], settings);
  await pause(1500 + random() * LIFE_MS_MAX);
  await ended(scene, device, clone, device.ledger.latest);
  await ended(scene, device, name, original);
  await scene.settle(clone, settings);
  await scene.settle(name);
}

/** An image of the card is put back after another life. */
async function restored(device: NumberedDevice, random: () => number): Promise<void> {
  const { bufferPath } = device;
  await life(device, random);
  copyParts(bufferPath, `${bufferPath}.image`);
  await life(device, random);
  // What that life left unsent would be lost with its card, and is no matter of forks.
  await device.scene.settle(device.name);
  copyParts(`${bufferPath}.image`, bufferPath);
  await life(device, random);
  await device.scene.settle(device.name);
}

function copyParts(from: string, to: string): void {
  for (const part of PARTS) {
    rmSync(`${to}${part}`, { force: true });
    if (existsSync(`${from}${part}`)) copyFileSync(`${from}${part}`, `${to}${part}`);
  }
}
