import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { type CsvTable, readCsvTable } from '../replay/csv-table.js';
import type { StoredSeries } from '../rig/observer.js';
import { writeHardTable } from './hard-table.js';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

const WINDOW_US = 60_000_000;

/** Rows of a table that have a value in a column, by the window of time that they lie in. */
function windowsOf(table: CsvTable, column: number): Map<number, number[]> {
  const windows = new Map<number, number[]>();
  for (const [row, timeUs] of table.timesUs.entries()) {
    if (table.present[column]![row] !== 1) continue;
    const window = Math.floor(timeUs / WINDOW_US);
    const rows = windows.get(window) ?? [];
    windows.set(window, rows);
    rows.push(row);
  }
  return windows;
}

/** What is wrong with what is stored of a column: each must be as it was taken, and each window keep its outline. */
function expectRealAndOutlined(table: CsvTable, column: number, { timesUs, values }: StoredSeries, name: string): void {
  const rowAt = new Map([...table.timesUs.entries()].map(([row, timeUs]) => [timeUs, row]));
  const stored = new Set<number>();
  for (const [at, timeUs] of timesUs.entries()) {
    const row = rowAt.get(timeUs);
    const isReal = row !== undefined && table.present[column]![row] === 1;
    if (!isReal || !Object.is(values[at], table.values[column]![row])) {
      expect.fail(`${name}: ${values[at]} at ${timeUs} was never read`);
    }
    stored.add(row);
  }
  expect(stored.size, `${name}: nothing is stored twice`).toBe(timesUs.length);
  for (const rows of windowsOf(table, column).values()) {
    const all = rows.map((row) => table.values[column]![row]!);
    const kept = rows.filter((row) => stored.has(row)).map((row) => table.values[column]![row]!);
    const ends = [rows[0]!, rows.at(-1)!].every((row) => stored.has(row));
    const outline = [kept.reduce((a, b) => Math.min(a, b)), kept.reduce((a, b) => Math.max(a, b))];
    const whole = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
    if (!ends || outline.some((value, at) => value !== whole[at])) {
      expect.fail(
        `${name}: of ${rows.length} readings from row ${rows[0]} on, ${kept.length} are left: ${outline}, not ${whole}`,
      );
    }
  }
}

describe('a buffer that is full and thins', () => {
  it('keeps real readings of the whole outage, and declares exactly the others', async () => {
    scene = await Scene.open('thins', () => ({ retention: { readings: 'forever' } }));
    await scene.rig.device('small');
    const file = scene.rig.path('hard.csv');
    writeHardTable(file, 100_000);
    const table = readCsvTable(file);
    // The smallest that a configuration may give.
    const small = { buffer: { path: scene.rig.path('small.db'), quota: '1MiB', thinning: { window: '1m' } } };

    scene.cutLink();
    await scene.agent('small', [{ type: 'replay', name: 'table', path: file, paced: false }], small);
    const { buffer } = await scene.untilStatus(
      'small',
      'the whole table has gone into the buffer',
      ({ sources, readings, buffer }) =>
        sources[0]?.state === 'finished' && readings.pending === 0 && buffer.readingsProduced === table.readings,
    );
    expect(buffer.readingsThinned).toBeGreaterThan(table.readings / 4);
    expect(buffer.readingsEvicted).toBe(0);
    expect(buffer.bytes).toBeLessThanOrEqual(1 << 20);
    await scene.killAgent('small');

    const produced = await scene.settle('small', small);
    const sums = await scene.observer.sums();
    const stored = table.readings - buffer.readingsThinned;
    // But for what the kill may have taken, which counts as produced.
    expect(produced).toBe(table.readings + sums.bounded);
    expect(sums).toMatchObject({
      epochs: 1,
      produced,
      stored,
      declared: buffer.readingsThinned,
      missing: 0,
      doubled: 0,
    });
    const [epoch] = await scene.observer.audit();
    expect(epoch!.declared.filter(({ bound }) => !bound)).toEqual([
      { reason: LossReason.THINNED, readings: buffer.readingsThinned, bound: false },
    ]);
    const found = await scene.observer.readings('small');
    let count = 0;
    for (const [column, name] of table.columns.entries()) {
      const series = found.get(name)!;
      count += series.timesUs.length;
      expectRealAndOutlined(table, column, series, name);
    }
    expect(count).toBe(stored);
  });
});
