import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { readCsvTable } from '../replay/csv-table.js';
import { writeHardTable } from './hard-table.js';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

/** The smallest that a configuration may give. */
const settings = (path: string) => ({ buffer: { path, quota: '1MiB', thinning: 'off' } });

describe('a buffer that is full', () => {
  it('gives up its oldest readings, and declares exactly those', async () => {
    scene = await Scene.open('quota', () => ({ retention: { readings: 'forever' } }));
    await scene.rig.device('small');
    const file = scene.rig.path('hard.csv');
    writeHardTable(file, 100_000);
    const table = readCsvTable(file);
    const small = settings(scene.rig.path('small.db'));

    scene.cutLink();
    await scene.agent('small', [{ type: 'replay', name: 'table', path: file, paced: false }], small);
    const { buffer } = await scene.untilStatus(
      'small',
      'the whole table has gone into the buffer',
      ({ sources, readings, buffer }) =>
        sources[0]?.state === 'finished' && readings.pending === 0 && buffer.readingsProduced === table.readings,
    );
    expect(buffer.readingsEvicted).toBeGreaterThan(0);
    expect(buffer.readings + buffer.readingsEvicted).toBe(table.readings);
    // A crash in the meantime changes no count.
    await scene.killAgent('small');

    const produced = await scene.settle('small', small);
    const sums = await scene.observer.sums();
    // But for what the crash may have taken, which counts as produced.
    expect(produced).toBe(table.readings + sums.bounded);
    expect(sums).toMatchObject({
      epochs: 1,
      produced,
      stored: table.readings - buffer.readingsEvicted,
      declared: buffer.readingsEvicted,
      missing: 0,
      doubled: 0,
    });
    const [epoch] = await scene.observer.audit();
    expect(epoch!.declared.filter(({ bound }) => !bound)).toEqual([
      { reason: LossReason.EVICTED, readings: buffer.readingsEvicted, bound: false },
    ]);

    // What is left of each column is its end, unaltered. The table's times ascend, so the rows need no order.
    const found = await scene.observer.readings('small');
    for (const [column, name] of table.columns.entries()) {
      const rows = [...table.timesUs.keys()].filter((row) => table.present[column]![row] === 1);
      const { timesUs, values } = found.get(name)!;
      const kept = rows.slice(rows.length - timesUs.length);
      expect(kept.length).toBe(timesUs.length);
      const wrong = kept.findIndex(
        (row, at) => timesUs[at] !== table.timesUs[row] || !Object.is(values[at], table.values[column]![row]),
      );
      expect(wrong, `${name}: the first reading that differs`).toBe(-1);
    }
  });
});
