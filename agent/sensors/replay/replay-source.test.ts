import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualScheduler } from '../manual-scheduler.js';
import { RecordingHost } from '../recording-sink.js';
import { ReplaySource, type ReplaySourceConfig } from './replay-source.js';

const recordings = process.env.TRIBUTARY_DATA ?? resolve('../shared/data');
const recording = join(recordings, 'compass_water_sonde.csv');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-replay-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function setUp(table: string | undefined, overrides: Partial<ReplaySourceConfig> = {}) {
  const path = overrides.path ?? join(folder, `${Math.random()}.csv`);
  if (table !== undefined) writeFileSync(path, table);
  const scheduler = new ManualScheduler();
  const host = new (class extends RecordingHost {
    override monotonicUs() {
      return scheduler.nowMs() * 1000;
    }
  })();
  const config = { name: 'r', labels: {}, path, seriesMax: 256, paced: false, speed: 1, loop: false, rebase: false };
  const source = new ReplaySource({ ...config, ...overrides }, host, { scheduler, random: () => 0.5 });
  const state = (wanted: string) =>
    new Promise<void>((done) => {
      host.onState = (now) => {
        if (now.state === wanted) done();
      };
    });
  /** Lets other work go on until something holds. */
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise<void>((done) => setImmediate(done));
  };
  return { path, scheduler, host, source, state, until };
}

const table = 'time_us,a,b\n1000000,1,\n1500000,2,20\nbad\n3000000,3,30';

describe('ReplaySource', () => {
  it('replays a table once, at its own absolute times, and drops bad rows by reason', async () => {
    const { host, source, state } = setUp(table, { fields: { a: { name: 'first', unit: 'V' }, b: {} } });
    const finished = state('finished');
    source.start();
    await finished;
    expect(host.sinks.map(({ line }) => line)).toEqual(['absolute']);
    expect(host.rows).toEqual([
      { timeUs: 1_000_000, values: { first: 1 } },
      { timeUs: 1_500_000, values: { first: 2, b: 20 } },
      { timeUs: 3_000_000, values: { first: 3, b: 30 } },
    ]);
    expect(host.drops).toEqual([{ reason: 'column_count', detail: 'bad' }]);
    await source.stop();
  });

  it('paces rows by their times and the speed, and bears the times of now when it rebases', async () => {
    const { scheduler, host, source, state, until } = setUp(table, { paced: true, speed: 2, rebase: true });
    scheduler.advance(10_000);
    const finished = state('finished');
    source.start();
    await until(() => host.rows.length === 1 && scheduler.pending === 1);
    scheduler.advance(249);
    expect(host.rows.length).toBe(1);
    scheduler.advance(1);
    await until(() => host.rows.length === 2 && scheduler.pending === 1);
    scheduler.advance(750);
    await finished;
    expect(host.sinks[0].line).toBe('monotonic');
    expect(host.rows.map(({ timeUs }) => timeUs)).toEqual([10_000_000, 10_250_000, 11_000_000]);
  });

  it('loops with its times shifted on by the length of the table', async () => {
    const { host, source, until } = setUp('time_s,a\n1,1\n2,2\n3,3\n', { loop: true });
    source.start();
    await until(() => host.rows.length >= 7);
    await source.stop();
    expect(host.rows.slice(0, 7).map(({ timeUs, values }) => [timeUs / 1e6, values.a])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 1],
      [5, 2],
      [6, 3],
      [7, 1],
    ]);
  });

  it('goes no further than what lies downstream takes', async () => {
    const { host, source, state, until } = setUp(
      `time_us,a\n${Array.from({ length: 5000 }, (_, at) => `${at},1`).join('\n')}`,
    );
    let open = () => {};
    let asked = 0;
    host.blocked = () => {
      asked += 1;
      if (asked !== 1001) return undefined;
      return new Promise<void>((done) => {
        open = done;
      });
    };
    const finished = state('finished');
    source.start();
    await until(() => asked === 1001);
    await new Promise<void>((done) => setImmediate(done));
    expect(host.rows.length).toBe(1000);
    open();
    await finished;
    expect(host.rows.length).toBe(5000);
  });

  it('can be stopped while it is held back', async () => {
    const { host, source, until } = setUp(table);
    let asked = false;
    host.blocked = () => {
      asked = true;
      return new Promise<void>(() => {});
    };
    source.start();
    await until(() => asked);
    await source.stop();
    expect(host.rows).toEqual([]);
    expect(host.states.at(-1)).toEqual({ state: 'stopped' });
  });

  it('waits for a file that is not there yet', async () => {
    const { path, scheduler, host, source, state } = setUp(undefined);
    const waiting = state('waiting');
    source.start();
    await waiting;
    expect(host.states.at(-1)).toMatchObject({ why: expect.stringContaining('ENOENT') });
    writeFileSync(path, table);
    const finished = state('finished');
    scheduler.advance(5000);
    await finished;
    expect(host.rows.length).toBe(3);
  });

  it('says what is wrong with a file that is no table, and does not spin', async () => {
    const { host, source, state } = setUp('a,b\n1,2\n', { loop: true });
    const waiting = state('waiting');
    source.start();
    await waiting;
    expect(host.states.at(-1)).toMatchObject({ why: expect.stringContaining('no header') });
    await source.stop();
  });

  it.skipIf(!existsSync(recording))('replays a recording value for value', async () => {
    const { host, source, state } = setUp(undefined, { path: recording });
    const finished = state('finished');
    source.start();
    await finished;
    const [header, ...lines] = readFileSync(recording, 'utf8').trimEnd().split(/\r?\n/);
    const names = header.split(',').slice(1);
    const rows = lines.flatMap((line) => {
      const [time, ...cells] = line.split(',');
      const present = names.flatMap((name, at) => (cells[at] === '' ? [] : [[name, Number(cells[at])] as const]));
      return present.length === 0 ? [] : [{ timeUs: Number(time), values: Object.fromEntries(present) }];
    });
    expect(host.drops).toEqual([]);
    expect(host.rows).toEqual(rows);
  });
});
