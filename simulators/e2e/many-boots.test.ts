import { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { openBufferFile } from '@tributary/agent/buffer/buffer-file';
import { SqliteItemTable } from '@tributary/agent/buffer/sqlite-item-table';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { afterEach, describe, expect, it } from 'vitest';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

const sensors = {
  type: 'simulator',
  name: 'sensors',
  interval: '20ms',
  series: [{ name: 'temperature', model: 'temperature' }],
};
const READINGS = 2;

function batchOf(segment: number) {
  const times = Float64Array.from([0, 1_000_000]);
  const values = Float64Array.from([segment, segment + 0.5]);
  const column = { seriesId: 1, type: 'double' as const, presence: null, count: READINGS, values, strings: [] };
  const groups = [{ rows: READINGS, times, columns: [column] }];
  return {
    readings: READINGS,
    body: encodeBatch({ segment, unitExponent: 6, baseTime: 0n, groups, readings: READINGS }),
  };
}

/** The buffer of a device that was started so often, and has a batch of each start from one on still. */
function writeBuffer(path: string, starts: number, waitingFrom: number): void {
  const quotaBytes = 64 << 20;
  const { db } = openBufferFile(path, quotaBytes);
  const table = new SqliteItemTable(db);
  const epoch = Uint8Array.from({ length: 16 }, () => Math.floor(Math.random() * 256));
  new BufferCore(table, quotaBytes, epoch).addSeries([{ name: 'boots', unit: '', labels: {}, type: 1 }]);
  const beganUs = Date.now() * 1000 - (starts + 1) * 60_000_000;
  table.begin();
  for (let id = 1; id <= starts; id++) {
    const offsetUs = beganUs + id * 60_000_000;
    table.putSegment({ id, bootId: `boot-${id}`, offsetUs, observedAtUs: 0, uncertaintyUs: 1000, state: 1 });
  }
  table.commit();
  const core = new BufferCore(table, quotaBytes, epoch);
  const batches = Array.from({ length: starts - waitingFrom + 1 }, (_, at) => batchOf(waitingFrom + at));
  for (let at = 0; at < batches.length; at += 1_000) core.append(batches.slice(at, at + 1_000));
  core.endRun();
  db.close();
}

/** `produced`: over both epochs. */
async function expectAllStored(produced: number, batches: number): Promise<void> {
  const sums = await scene.observer.sums('looping');
  expect(sums).toMatchObject({
    epochs: 2,
    produced,
    stored: produced,
    declared: 0,
    bounded: 0,
    missing: 0,
    doubled: 0,
  });
  const { values } = (await scene.observer.readings('looping')).get('boots')!;
  expect(new Set(values).size).toBe(batches * READINGS);
  expect(values).toHaveLength(batches * READINGS);
}

describe('a device that was started thousands of times', () => {
  it('leaves the epoch before the collector takes no more segments of it', async () => {
    scene = await Scene.open('boots', () => ({ retention: { readings: 'forever' } }));
    await scene.rig.device('looping');
    writeBuffer(scene.rig.path('looping.db'), 12_500, 12_490);
    await scene.agent('looping', [sensors]);
    await scene.untilStatus('looping', 'it is in a new epoch', ({ uplink }) => uplink.epochsOpened === 1);
    // What waited was brought under its own numbers; the sensors go on in the new epoch.
    const produced = 11 * READINGS + (await scene.settle('looping'));
    await expectAllStored(produced, 11);
    expect(scene.log('looping').filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('and more often than that without a collector, brings all that it has', async () => {
    scene = await Scene.open('boots2', () => ({ retention: { readings: 'forever' } }));
    await scene.rig.device('looping');
    writeBuffer(scene.rig.path('looping.db'), 16_500, 1);
    expect(await scene.settle('looping')).toBeLessThan(1_000 * READINGS);
    await expectAllStored(16_500 * READINGS, 16_500);
  });
});
