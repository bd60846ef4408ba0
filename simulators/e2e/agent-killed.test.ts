import { afterEach, describe, expect, it } from 'vitest';
import { firstDifference, readCsvTable } from '../replay/csv-table.js';
import { countReadings } from '../rig/observer.js';
import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import { writeHardTable } from './hard-table.js';
import { runProgram } from './run-program.js';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

const sensors = {
  type: 'simulator',
  name: 'sensors',
  interval: '5ms',
  series: [
    { name: 'temperature', model: 'temperature', unit: 'Cel' },
    { name: 'vibration', model: 'vibration' },
    { name: 'co2', model: 'co2' },
    { name: 'pressure', model: 'pressure' },
  ],
};

/** What a kill may take by what was written before it: the batch that was open, the one behind it, and some room. */
const CRASH_READINGS_MAX = 4096;

describe('an agent that is killed', () => {
  it('brings a table bit for bit, killed again and again while it uploads', async () => {
    scene = await Scene.open('bits', () => ({ retention: { readings: 'forever' } }));
    await scene.rig.device('recorder');
    const file = scene.rig.path('hard.csv');
    writeHardTable(file, 30_000);
    const table = readCsvTable(file);

    scene.cutLink();
    await scene.agent('recorder', [{ type: 'replay', name: 'table', path: file, paced: false }]);
    const full = await scene.untilStatus(
      'recorder',
      'the whole table is in the buffer',
      ({ sources, buffer }) => sources[0]?.state === 'finished' && buffer.readings === table.readings,
    );
    expect(full.readings.dropped).toEqual({});
    await scene.killAgent('recorder');

    // Narrow, so that each life of the agent brings a part.
    scene.proxy.heal();
    scene.proxy.set({ bitsPerSecond: 4_000_000 });
    let lives = 0;
    for (let stored = 0; lives < 4; lives++) {
      await scene.agent('recorder', []);
      const before = stored;
      // On the way somewhere: a part is stored more than before, the rest is not.
      stored = await until('more of the table is stored', async () => {
        const sums = await scene.observer.sums();
        return sums.stored > before && sums.stored;
      });
      await scene.killAgent('recorder');
      if (stored === table.readings) break;
    }
    expect(lives, 'the upload was over too early for the test to mean much').toBeGreaterThanOrEqual(2);

    const produced = await scene.settle('recorder');
    const sums = await scene.observer.sums('recorder');
    // Each kill may have taken what the agent had in memory, as far as anybody can know.
    expect(sums.bounded).toBeGreaterThan(0);
    expect(sums.bounded).toBeLessThanOrEqual((lives + 2) * CRASH_READINGS_MAX);
    expect(produced).toBe(table.readings + sums.bounded);
    expect(sums).toMatchObject({
      epochs: 1,
      produced,
      stored: table.readings,
      declared: 0,
      missing: 0,
      doubled: 0,
    });
    expect(firstDifference(table, await scene.observer.readings('recorder'))).toBeUndefined();
  });

  it('loses nothing that its buffer had taken, killed at any moment while it samples', async () => {
    scene = await Scene.open('kills');
    await scene.rig.device('busy');
    const moments: string[] = [];
    let acknowledgedByDisk = 0;
    for (let life = 0; life < 4; life++) {
      await scene.agent('busy', [sensors]);
      const more = 200 + Math.floor(Math.random() * 1200);
      const { buffer } = await scene.untilStatus(
        'busy',
        `${more} more readings are in the buffer`,
        (status) => status.buffer.readingsProduced >= acknowledgedByDisk + more,
      );
      await scene.killAgent('busy');
      acknowledgedByDisk = buffer.readingsProduced;
      moments.push(`killed after ${acknowledgedByDisk}`);
      // One life without the collector.
      if (life === 1) scene.cutLink();
      else scene.proxy.heal();
    }
    const produced = await scene.settle('busy');
    const found = await scene.observer.readings('busy');
    const about = moments.join(', ');
    expect(produced, about).toBeGreaterThanOrEqual(acknowledgedByDisk);
    const sums = await scene.observer.sums('busy');
    expect(sums.bounded, about).toBeGreaterThan(0);
    expect(sums.bounded, about).toBeLessThanOrEqual(4 * CRASH_READINGS_MAX);
    const stored = produced - sums.bounded;
    expect(sums, about).toMatchObject({
      epochs: 1,
      produced,
      stored,
      declared: 0,
      missing: 0,
      doubled: 0,
    });
    expect(countReadings(found), about).toBe(stored);
    // Rows of four were taken whole, and no instant twice.
    expect(found.size).toBe(4);
    for (const { timesUs } of found.values()) {
      expect(timesUs).toHaveLength(stored / 4);
      expect(
        timesUs.every((time, at) => at === 0 || time > timesUs[at - 1]!),
        about,
      ).toBe(true);
    }
  });

  it('with deferred durability uses no sequence twice, and the collector accounts for every one', async () => {
    scene = await Scene.open('deferred');
    await scene.rig.device('sparing');
    const settings = { buffer: { path: scene.rig.path('sparing.db'), durability: 'deferred', lossWindow: '1s' } };
    let stored = 0;
    for (let life = 0; life < 3; life++) {
      await scene.agent('sparing', [sensors], settings);
      if (life === 1) {
        // Longer than the loss window without the collector: what is older comes when it is there again.
        const { buffer } = await scene.untilStatus(
          'sparing',
          'readings wait',
          (status) => status.buffer.readings > 400,
        );
        await pause(2500);
        stored += buffer.readings;
      } else {
        stored = await until('more is stored', async () => {
          const sums = await scene.observer.sums('sparing');
          return sums.stored > stored + 200 && sums.stored;
        });
      }
      await scene.killAgent('sparing');
      if (life === 0) scene.cutLink();
      else scene.proxy.heal();
    }
    const produced = await scene.settle('sparing', settings);
    const sums = await scene.observer.sums('sparing');
    expect(sums).toMatchObject({ epochs: 1, produced, declared: 0, missing: 0, doubled: 0 });
    expect(sums.bounded).toBeGreaterThan(0);
    expect(sums.stored + sums.bounded).toBe(produced);
    expect(sums.stored).toBeGreaterThanOrEqual(stored);
    const found = await scene.observer.readings('sparing');
    expect(countReadings(found)).toBe(sums.stored);
    for (const { timesUs } of found.values()) expect(new Set(timesUs).size).toBe(timesUs.length);
  });

  it('has its buffer to itself: a second agent says so and ends, and the first goes on', async () => {
    scene = await Scene.open('second');
    await scene.rig.device('first');
    await scene.agent('first', [sensors]);
    const second = scene.rig.agentConfig('second', scene.proxy.port, {
      tls: scene.rig.tlsFiles('device-first'),
      buffer: { path: scene.rig.path('first.db') },
      sources: [sensors],
    });
    const { code, err } = await runProgram('agent', ['run', '--config', second], scene.rig.folder);
    expect(err).toContain('first.db: another agent has this buffer open; stop it');
    expect(err).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
    const before = await scene.status('first');
    await scene.untilStatus(
      'first',
      'goes on after the second has ended',
      ({ readings, uplink }) =>
        readings.taken > before.readings.taken && uplink.itemsAcknowledged > before.uplink.itemsAcknowledged,
    );
    const produced = await scene.settle('first');
    expect(await scene.observer.sums()).toMatchObject({
      epochs: 1,
      produced,
      stored: produced,
      missing: 0,
      doubled: 0,
    });
  });

  it('ends in order on SIGTERM, with a collector and without one', async () => {
    scene = await Scene.open('orderly');
    await scene.rig.device('polite');
    await scene.agent('polite', [sensors]);
    await scene.untilStatus('polite', 'something is acknowledged', ({ uplink }) => uplink.itemsAcknowledged > 2);
    expect(await scene.stopAgent('polite')).toBe(0);
    // The last upload took all: what the agent said that it had read is stored, none of it waits.
    const [stopped] = scene.log('polite').filter(({ msg }) => msg === 'the agent has stopped');
    expect(stopped).toMatchObject({ lost: 0 });
    expect((await scene.observer.sums()).stored).toBe(stopped!.readings);

    scene.cutLink();
    await scene.agent('polite', [sensors]);
    await scene.untilStatus('polite', 'readings wait', ({ buffer }) => buffer.readings > 100);
    const beginsMs = performance.now();
    expect(await scene.stopAgent('polite')).toBe(0);
    expect(performance.now() - beginsMs).toBeLessThan(20_000);
    const [, alone] = scene.log('polite').filter(({ msg }) => msg === 'the agent has stopped');
    expect(alone).toMatchObject({ lost: 0 });

    const total = Number(stopped!.readings) + Number(alone!.readings);
    expect(await scene.settle('polite')).toBe(total);
    expect(await scene.observer.sums()).toMatchObject({ produced: total, stored: total, missing: 0, doubled: 0 });
  });
});
