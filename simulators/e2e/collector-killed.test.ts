import { writeFileSync } from 'node:fs';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { afterEach, describe, expect, it } from 'vitest';
import { countReadings } from '../rig/observer.js';
import { until } from '../rig/until.js';
import { AlertingBoard } from './alerting-board.js';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

/** What a kill of the agent may take by what was written before it: the batch that was open, the one behind it, and some room. */
const CRASH_READINGS_MAX = 4096;

/** Enough that something is always on its way. */
const sensors = {
  type: 'simulator',
  name: 'sensors',
  interval: '2ms',
  series: ['temperature', 'vibration', 'co2', 'pressure'].map((name) => ({ name, model: name })),
};

/**
 * `produced`: what the device's disk says. `kills`: how often its agent was killed; what each may have taken counts as
 * produced, and stands apart as a bound.
 */
async function expectAllStoredOnce(device: string, produced: number, kills = 0): Promise<void> {
  const sums = await scene.observer.sums(device);
  if (kills > 0) expect(sums.bounded).toBeGreaterThan(0);
  expect(sums.bounded).toBeLessThanOrEqual(kills * CRASH_READINGS_MAX);
  const stored = produced - sums.bounded;
  expect(sums).toMatchObject({ epochs: 1, produced, stored, declared: 0, missing: 0, doubled: 0 });
  expect(countReadings(await scene.observer.readings(device))).toBe(stored);
}

describe('a collector that is killed', () => {
  it('has everything that it acknowledged, and gets the rest once, whenever it is killed', async () => {
    scene = await Scene.open('ckill');
    await scene.rig.device('steady');
    await scene.agent('steady', [sensors]);
    let stored = 0;
    for (let life = 0; life < 3; life++) {
      const more = 500 + Math.floor(Math.random() * 2000);
      stored = await until(`${more} more readings are stored`, async () => {
        const sums = await scene.observer.sums();
        return sums.stored >= stored + more && sums.stored;
      });
      await scene.killCollector();
      await scene.untilStatus(
        'steady',
        'it has seen that the collector is gone',
        ({ buffer }) => buffer.readings > 300,
      );
      await scene.restartCollector();
      // Nothing that was stored when it was asked is gone.
      expect((await until('the collector answers', () => scene.observer.sums())).stored).toBeGreaterThanOrEqual(stored);
    }
    await expectAllStoredOnce('steady', await scene.settle('steady'));
  });

  it('repeats no alert: each transition has come once, in order, over its deaths and those of the agent', async () => {
    scene = await Scene.open('alerts', (rig) => {
      writeFileSync(rig.path('rules.yaml'), AlertingBoard.rules);
      return { rules: rig.path('rules.yaml') };
    });
    await scene.rig.device('oven');
    const board = new AlertingBoard(scene, 'oven');
    try {
      await scene.agent('oven', [board.source]);
      await board.untilFiringAgain();
      await scene.killCollector();
      await scene.restartCollector();
      await board.untilResolved();
      await board.untilFiringAgain();
      await scene.killAgent('oven');
      await scene.agent('oven', [board.source]);
      // The link is cut when it happens: it comes when the readings do.
      await scene.untilStatus('oven', 'it is connected again', ({ uplink }) => uplink.itemsAcknowledged > 0);
      await board.untilResolved();
      scene.cutLink();
      board.heat();
      await scene.untilStatus('oven', 'the heat is in the buffer', ({ buffer }) => buffer.readings > 20);
      scene.proxy.heal();
      await board.untilFiringAgain();
      // What would come again has come by the time that a later one is there.
      await board.untilResolved();
    } finally {
      board.unplug();
    }
    const stored = await scene.observer.alerts('oven');
    expect(stored.map(({ state }) => state)).toEqual([0, 1, 2].flatMap(() => [AlertState.FIRING, AlertState.RESOLVED]));
    expect(board.received()).toEqual(stored.map(({ number }) => number));
    expect(new Set(stored.map(({ incidentId }) => Buffer.from(incidentId).toString('hex'))).size).toBe(3);
    expect(stored.some(({ late }) => late)).toBe(false);
    await expectAllStoredOnce('oven', await scene.settle('oven'), 1);
  });

  it('ends in order on SIGTERM while readings come, and takes up where it was', async () => {
    scene = await Scene.open('cterm');
    await scene.rig.device('steady');
    await scene.agent('steady', [sensors]);
    await until('readings are stored', async () => (await scene.observer.sums()).stored > 1000);
    const beginsMs = performance.now();
    expect(await scene.stopCollector()).toBe(0);
    expect(performance.now() - beginsMs).toBeLessThan(15_000);
    await scene.untilStatus('steady', 'readings wait', ({ buffer }) => buffer.readings > 300);
    await scene.restartCollector();
    await expectAllStoredOnce('steady', await scene.settle('steady'));
  });
});
