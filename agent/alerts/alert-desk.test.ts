import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemScheduler } from '@tributary/core/clock/clock';
import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import { SqliteBuffer } from '../buffer/sqlite-buffer.js';
import { AlertDesk } from './alert-desk.js';
import { RESOLVED } from './alert-state.js';
import { sampleAlert } from './sample-alert.js';
import type { AlertActionConfig } from './schema.js';

let folder: string;
let buffer: SqliteBuffer;
const desks: AlertDesk[] = [];
let scripts = 0;
const log: Record<string, unknown>[] = [];

const open = () => SqliteBuffer.open({ path: join(folder, 'buffer.db'), quotaBytes: 1 << 20 });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-desk-'));
  log.length = 0;
  // A device's buffer is seldom new, and a new one trusts nothing that was before.
  await (await open()).close();
  buffer = await open();
});

afterEach(async () => {
  for (const desk of desks.splice(0)) await desk.stop();
  await buffer.close();
  rmSync(folder, { recursive: true });
});

interface Written {
  source: string;
  text: string;
}

/** A desk over the real buffer, with real processes. `written` takes what goes to serial sources. */
function deskOf(actions: readonly AlertActionConfig[], over: EdgeBuffer = buffer, written: Written[] = []): AlertDesk {
  const desk = new AlertDesk(actions, {
    buffer: over,
    scheduler: systemScheduler,
    random: seededRandom(1),
    log: pino({ level: 'debug' }, { write: (line: string) => void log.push(JSON.parse(line)) }),
    wallUs: () => sampleAlert(1).transitionAtUs,
    environment: process.env,
    write: async (source, bytes) => {
      if (source === 'gone') throw new TributaryError('not-found', '/dev/ttyACM0: it is not open');
      written.push({ source, text: Buffer.from(bytes).toString() });
    },
  });
  desks.push(desk);
  return desk;
}

/** An action that appends a line to a file, by a program in a file of its own. */
function appends(file: string, change: Partial<AlertActionConfig> = {}, before = ''): AlertActionConfig {
  const path = join(folder, `append-${++scripts}`);
  const line = '$1 $TRIBUTARY_RULE $TRIBUTARY_LABEL_room $TRIBUTARY_REPEATED';
  writeFileSync(path, `#!/bin/sh\n${before}\necho "${line}" >> ${join(folder, file)}\n`);
  chmodSync(path, 0o755);
  const command = [path, '{{state}}'];
  const run = { command, timeout: 20_000, workingDirectory: folder, maxConcurrent: 1 };
  return { name: file, match: { labels: {} }, run, ...change };
}

const linesOf = (file: string) => {
  const path = join(folder, file);
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
};

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setTimeout(resolve, 5));
}

const reportOf = (desk: AlertDesk, name: string) => desk.actions.find((each) => each.name === name)!;

/** Whether nothing waits in the buffer any more. */
async function untilSettled(): Promise<void> {
  while ((await buffer.recallAlerts()).intents.length > 0) {
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}

describe('an alert at the desk', () => {
  it('is stored, logged and acted on once, whoever judged it first', async () => {
    const desk = deskOf([appends('siren')]);
    const [own] = await desk.take([sampleAlert(1)]);
    expect(own.number).toBe(0);
    expect(await desk.take([sampleAlert(1, { number: 5 })])).toEqual([]);
    await desk.take([sampleAlert(1, { number: 6, state: RESOLVED }), sampleAlert(1, { number: 7, state: RESOLVED })]);
    await until(() => reportOf(desk, 'siren').done === 2);
    await untilSettled();
    expect(linesOf('siren')).toEqual(['firing too-warm cellar-2 0', 'resolved too-warm cellar-2 0']);
    expect(log.filter(({ msg }) => msg === 'an alert action was done')).toHaveLength(2);
    expect(log.find(({ msg }) => msg === 'alert too-warm is firing')).toMatchObject({ level: 40, rule: 'too-warm' });
    await desk.stop();
    await buffer.close();
    buffer = await open();
    expect(buffer.identity.alertCursor).toBe(7);
    const later = deskOf([appends('siren')]);
    expect(await later.take([sampleAlert(1, { number: 5 }), sampleAlert(1, { number: 6, state: RESOLVED })])).toEqual(
      [],
    );
    expect(reportOf(later, 'siren')).toMatchObject({ done: 0, waiting: 0, running: 0 });
  });

  it('is stored, and others are acted on, while a command hangs', async () => {
    const desk = deskOf([appends('hangs', {}, 'sleep 1000'), appends('fan')]);
    for (let incident = 1; incident <= 5; incident++) await desk.take([sampleAlert(incident, { number: incident })]);
    await until(() => reportOf(desk, 'fan').done === 5);
    expect(reportOf(desk, 'hangs')).toMatchObject({ running: 1, waiting: 4, done: 0 });
    expect(linesOf('fan')).toHaveLength(5);
  });

  it('does nothing when it cannot be stored, and comes again', async () => {
    let refusals = 1;
    const refusing = new Proxy(buffer, {
      get: (target, name) => {
        if (name === 'storeAlerts' && refusals-- > 0) {
          return async () => {
            throw new TributaryError('disk', 'no');
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const desk = deskOf([appends('siren')], refusing);
    await expect(desk.take([sampleAlert(1)])).rejects.toThrow('no');
    expect(reportOf(desk, 'siren')).toMatchObject({ done: 0, running: 0, waiting: 0 });
    await desk.take([sampleAlert(1)]);
    await until(() => reportOf(desk, 'siren').done === 1);
    expect(linesOf('siren')).toHaveLength(1);
  });

  it('is logged as the first log action that matches it says', async () => {
    const level = (rule: string, to: 'debug' | 'silent'): AlertActionConfig => ({
      name: rule,
      match: { rule, labels: {} },
      log: { level: to },
    });
    const desk = deskOf([level('trial-*', 'debug'), level('*-x', 'silent')]);
    await desk.take([sampleAlert(1, { rule: 'trial-x' }), sampleAlert(2, { rule: 'y-x' }), sampleAlert(3)]);
    expect(log.map(({ msg, level }) => [msg, level])).toEqual([
      ['alert trial-x is firing', 20],
      ['alert too-warm is firing', 40],
    ]);
  });

  it('fails where its command does, and says how', async () => {
    const desk = deskOf([appends('siren', {}, 'echo "no power" >&2; exit 4')]);
    await desk.take([sampleAlert(1)]);
    await until(() => reportOf(desk, 'siren').failed === 1);
    await untilSettled();
    expect(log.at(-1)).toMatchObject({
      msg: 'an alert action failed',
      level: 40,
      action: 'siren',
      reason: 'exit-4',
      output: 'no power',
      rule: 'too-warm',
    });
  });
});

describe('a line to a serial source', () => {
  const write = (name: string, source: string, line: string): AlertActionConfig => ({
    name,
    match: { labels: {} },
    write: { source, line, endOfLine: '\r\n', timeout: 1000 },
  });

  it('is written as the template says, or fails', async () => {
    const written: Written[] = [];
    const desk = deskOf([write('fan', 'board', 'fan {{state}}'), write('lost', 'gone', 'x')], buffer, written);
    await desk.take([sampleAlert(1)]);
    await until(() => reportOf(desk, 'lost').failed === 1 && reportOf(desk, 'fan').done === 1);
    expect(written).toEqual([{ source: 'board', text: 'fan firing\r\n' }]);
    expect(log).toContainEqual(expect.objectContaining({ action: 'lost', reason: 'port' }));
  });

  it('is never two because of what a label holds, nor longer than a board can read', async () => {
    const written: Written[] = [];
    const desk = deskOf([write('fan', 'board', 'fan {{labels.room}}')], buffer, written);
    await desk.take([
      sampleAlert(1, { labels: { room: 'a\nreset' } }),
      sampleAlert(2, { labels: { room: 'x'.repeat(1025) } }),
    ]);
    await until(() => reportOf(desk, 'fan').failed === 2);
    expect(written).toEqual([]);
    expect(log.flatMap(({ reason }) => reason ?? [])).toEqual(['control-character', 'too-long']);
  });
});

describe('a status', () => {
  const heat: AlertActionConfig = {
    name: 'heat-shown',
    match: { labels: { room: 'cellar-2' } },
    status: { name: 'heat', firing: 'too warm', resolved: 'ok' },
  };

  it('is kept over restarts, and lets go of an incident whose labels have changed', async () => {
    const desk = deskOf([heat]);
    await desk.take([sampleAlert(1), sampleAlert(2, { seriesLabels: {} })]);
    await untilSettled();
    expect(desk.statuses).toMatchObject([{ name: 'heat', value: 'too warm', incidents: 1 }]);
    await buffer.close();
    buffer = await open();
    const later = deskOf([heat]);
    await later.recall();
    expect(later.statuses).toMatchObject([{ name: 'heat', value: 'too warm', incidents: 1 }]);
    await later.take([sampleAlert(1, { state: RESOLVED, seriesLabels: {} })]);
    await untilSettled();
    expect(later.statuses).toMatchObject([{ value: 'ok', incidents: 0 }]);
  });
});

describe('a start after another', () => {
  it.each([
    ['skip', [], { skipped: { crash: 2 } }],
    ['repeat', ['firing too-warm cellar-2 1', 'resolved too-warm cellar-2 1'], { done: 2 }],
  ] as const)('after a crash, with onCrash: %s', async (onCrash, lines, expected) => {
    const first = deskOf([appends('siren', { onCrash }, 'sleep 1000')]);
    await first.take([sampleAlert(1), sampleAlert(1, { state: RESOLVED })]);
    await until(() => reportOf(first, 'siren').running === 1);
    // The first desk stands for a process that is gone: it says nothing any more of what it has begun.
    const second = deskOf([appends('siren', { onCrash })]);
    await second.recall();
    await untilSettled();
    expect(reportOf(second, 'siren')).toMatchObject(expected);
    expect(linesOf('siren')).toEqual(lines);
  });

  it('goes on with what certainly was not begun, whatever onCrash says', async () => {
    const first = deskOf([appends('siren', {}, 'sleep 1')]);
    await first.take([sampleAlert(1), sampleAlert(2)]);
    await first.stop();
    expect(linesOf('siren')).toEqual(['firing too-warm cellar-2 0']);
    expect(await first.take([sampleAlert(3)])).toHaveLength(1);
    await buffer.close();
    buffer = await open();
    const second = deskOf([appends('siren')]);
    await second.recall();
    await until(() => reportOf(second, 'siren').done === 2);
    await untilSettled();
    expect(linesOf('siren')).toEqual(Array.from({ length: 3 }, () => 'firing too-warm cellar-2 0'));
  });

  it('takes what was kept for begun once a start has taken it up', async () => {
    const first = deskOf([appends('siren', {}, 'sleep 1')]);
    await first.take([sampleAlert(1), sampleAlert(2)]);
    await first.stop();
    const second = deskOf([appends('siren', {}, 'sleep 1000')]);
    await second.recall();
    await until(() => reportOf(second, 'siren').running === 1);
    const third = deskOf([appends('siren')]);
    await third.recall();
    await untilSettled();
    expect(reportOf(third, 'siren')).toMatchObject({ done: 0, skipped: { crash: 1 } });
    expect(linesOf('siren')).toHaveLength(1);
  });

  it('acts on nothing from before a buffer that is new', async () => {
    const path = join(folder, 'fresh.db');
    const fresh = await SqliteBuffer.open({ path, quotaBytes: 1 << 20 });
    const desk = deskOf([appends('siren')], fresh);
    const { transitionAtUs } = sampleAlert(1);
    await desk.take([sampleAlert(1, { transitionAtUs: transitionAtUs - 60_000_000 }), sampleAlert(2)]);
    await until(() => reportOf(desk, 'siren').done === 1);
    expect(reportOf(desk, 'siren').skipped).toEqual({ unsure: 1 });
    await desk.stop();
    await fresh.close();
  });

  it('acts on nothing that a buffer may have known before it was damaged under its feet', async () => {
    let salvages = 0;
    const damaged = new Proxy(buffer, {
      get: (target, name) => {
        if (name === 'storeAlerts') {
          return async (...call: Parameters<EdgeBuffer['storeAlerts']>) => ({
            ...(await target.storeAlerts(...call)),
            salvages,
          });
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const desk = deskOf([appends('siren')], damaged);
    salvages++;
    const { transitionAtUs } = sampleAlert(1);
    await desk.take([
      sampleAlert(1, { transitionAtUs: transitionAtUs - 60_000_000 }),
      sampleAlert(2, { transitionAtUs: transitionAtUs + 1_000_000 }),
    ]);
    await until(() => reportOf(desk, 'siren').done === 1);
    await untilSettled();
    expect(reportOf(desk, 'siren').skipped).toEqual({ unsure: 1 });
    expect(linesOf('siren')).toHaveLength(1);
  });

  it('writes down what became of an action as soon as the disk takes it', async () => {
    let refusals = 2;
    const refusing = new Proxy(buffer, {
      get: (target, name) => {
        if (name === 'settleIntents' && refusals-- > 0) {
          return async () => {
            throw new TributaryError('disk', 'no');
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const desk = deskOf([appends('siren')], refusing);
    await desk.take([sampleAlert(1)]);
    await untilSettled();
    expect(refusals).toBeLessThan(0);
    expect(linesOf('siren')).toHaveLength(1);
  });

  it('keeps of an alert what fits, and repeats nothing of which it kept too little', async () => {
    const annotations = { text: 'x'.repeat(3000) };
    const labels = { room: 'y'.repeat(3000) };
    const first = deskOf([appends('siren', { onCrash: 'repeat' }, 'sleep 1000')]);
    await first.take([sampleAlert(1, { annotations }), sampleAlert(2, { labels })]);
    const second = deskOf([appends('siren', { onCrash: 'repeat' })]);
    await second.recall();
    await untilSettled();
    expect(linesOf('siren')).toEqual(['firing too-warm cellar-2 1']);
    expect(reportOf(second, 'siren')).toMatchObject({ done: 1, skipped: { unreadable: 1 } });
  });
});
