import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { countReadings } from '../rig/observer.js';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

const sensors = {
  type: 'simulator',
  name: 'sensors',
  interval: '10ms',
  series: ['temperature', 'vibration', 'co2'].map((name) => ({ name, model: name })),
};

/** Runs an agent until something more is acknowledged, stops it, and answers what it says that it has read. */
async function life(): Promise<number> {
  await scene.agent('device', [sensors]);
  await scene.untilStatus('device', 'something is acknowledged', ({ uplink }) => uplink.itemsAcknowledged > 3);
  expect(await scene.stopAgent('device')).toBe(0);
  return Number(scene.log('device').findLast(({ msg }) => msg === 'the agent has stopped')!.readings);
}

async function expectTwoEpochsWithoutLoss(produced: number): Promise<void> {
  expect(await scene.observer.sums()).toMatchObject({
    epochs: 2,
    produced,
    stored: produced,
    declared: 0,
    missing: 0,
    doubled: 0,
  });
  expect(countReadings(await scene.observer.readings('device'))).toBe(produced);
}

describe('an agent whose buffer', () => {
  it('is an older copy of itself opens a new epoch, and mixes up no reading', async () => {
    scene = await Scene.open('restored');
    await scene.rig.device('device');
    const file = scene.rig.path('device.db');
    let produced = await life();
    // What a restored image is: the file as it was then, and what was written since is gone.
    copyFileSync(file, `${file}.image`);
    const parts = ['', '-wal', '-shm'].filter((part) => existsSync(`${file}${part}`));
    for (const part of parts) copyFileSync(`${file}${part}`, `${file}.image${part}`);
    produced += await life();
    for (const part of ['-wal', '-shm']) rmSync(`${file}${part}`, { force: true });
    for (const part of parts) copyFileSync(`${file}.image${part}`, `${file}${part}`);
    produced += await life();
    await scene.settle('device');
    await expectTwoEpochsWithoutLoss(produced);
  });

  it('is no database any more starts all the same, with a new one, and says so', async () => {
    scene = await Scene.open('garbage');
    await scene.rig.device('device');
    const file = scene.rig.path('device.db');
    let produced = await life();
    rmSync(`${file}-wal`, { force: true });
    writeFileSync(file, Buffer.alloc(100_000, 'not a database '));
    produced += await life();
    const told = scene.log('device').filter(({ msg }) => String(msg).includes('moved aside'));
    expect(told).toMatchObject([
      {
        level: 'error',
        path: file,
        items: 0,
        readings: 0,
        isComplete: true,
        msg: 'a damaged buffer was moved aside; what passes was carried over',
      },
    ]);
    expect(existsSync(`${file}.damaged-1`)).toBe(true);
    await scene.settle('device');
    await expectTwoEpochsWithoutLoss(produced);
  });
});
