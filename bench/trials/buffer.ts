import { randomFillSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BufferEngine } from '@tributary/agent/buffer/buffer-engine';
import { SqliteBuffer } from '@tributary/agent/buffer/sqlite-buffer';
import { type ThreadWrites, threadWrites } from '@tributary/agent/buffer/thread-writes';
import { type Figures, numberOption, type Trial } from '../trial.js';

/** A shape of what a device appends. */
interface Shape {
  readings: number;
  /** Of the encoded batch. */
  bodyBytes: number;
}

// The buffer on the disk that holds the temporary directory, one append after another, acknowledged one append later.

/** Ten series polled once a second, each poll its own batch; and a device that collects a thousand readings. */
const SMALL: Shape = { readings: 10, bodyBytes: 90 };
/** What an agent with these ten series writes along for a crash, and how long it defers by default. */
const CRASH_BOUND = 128;
const LOSS_WINDOW_MS = 10_000;
const LARGE: Shape = { readings: 1_000, bodyBytes: 1_700 };

export const trial: Trial = {
  options: { appends: 'appends of each shape, each its own commit (2000)' },
  async run(options) {
    const appends = numberOption(options, 'appends', 2_000, 20);
    const directory = await mkdtemp(join(tmpdir(), 'tributary-bench-buffer-'));
    const buffers: SqliteBuffer[] = [];
    const open = async (name: string): Promise<SqliteBuffer> => {
      const buffer = await SqliteBuffer.open({ path: join(directory, name), quotaBytes: 256 << 20 });
      buffers.push(buffer);
      return buffer;
    };
    try {
      const rssBefore = await rssBytes();
      const openedAt = performance.now();
      const buffer = await open('steady.db');
      const figures: Figures = { openMs: rounded(performance.now() - openedAt) };
      for (const [name, shape] of [
        ['small', SMALL],
        ['large', LARGE],
      ] as const) {
        const steady = await appendEach(buffer, shape, appends, true);
        // The first shape has run by now; what comes later is the other buffers' threads.
        figures.threadRssMb ??= rounded(((await rssBytes()) - rssBefore) / 2 ** 20);
        const away = await appendEach(await open(`${name}.db`), shape, appends, false);
        const readings = appends * shape.readings;
        // What the database and its log were told to write, by the kernel's count for the buffer's thread.
        figures[`${name}BytesWrittenPerReading`] = rounded(steady.bytesWritten / readings);
        figures[`${name}BytesWrittenPerReadingInOutage`] = rounded(away.bytesWritten / readings);
        // And the whole blocks that the file system made of it.
        figures[`${name}BlockBytesPerReading`] = rounded(steady.blockBytesWritten / readings);
        figures[`${name}BlockBytesPerReadingInOutage`] = rounded(away.blockBytesWritten / readings);
        figures[`${name}BytesAtRestPerReading`] = rounded(away.bytesWaiting / readings);
        // From the call to the commit on disk and back.
        figures[`${name}AppendP50Ms`] = rounded(steady.latenciesMs[Math.floor(appends * 0.5)]);
        figures[`${name}AppendP99Ms`] = rounded(steady.latenciesMs[Math.floor(appends * 0.99)]);
      }
      const days = join(directory, 'deferred');
      const acknowledged = await everySecond(join(days, 'steady.db'), appends, true);
      const away = await everySecond(join(days, 'away.db'), appends, false);
      const readings = appends * SMALL.readings;
      figures.deferredBytesWrittenPerReading = rounded(acknowledged.callBytes / readings);
      figures.deferredBytesWrittenPerReadingInOutage = rounded(away.callBytes / readings);
      figures.deferredBlockBytesPerReading = rounded(acknowledged.blockBytes / readings);
      figures.deferredBlockBytesPerReadingInOutage = rounded(away.blockBytes / readings);
      figures.groupReadingsPerSecond = Math.round(await groupAppends(buffer, Math.ceil(appends / 20)));
      return figures;
    } finally {
      for (const buffer of buffers) await buffer.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function appendEach(buffer: SqliteBuffer, shape: Shape, appends: number, acknowledged: boolean) {
  const before = await buffer.status();
  const latenciesMs: number[] = [];
  const body = new Uint8Array(shape.bodyBytes);
  for (let at = 0; at < appends; at++) {
    randomFillSync(body);
    const started = performance.now();
    const { sequences } = await buffer.append([{ body, readings: shape.readings }]);
    latenciesMs.push(performance.now() - started);
    if (acknowledged) await buffer.acknowledge([{ first: 1, last: sequences[0] }], buffer.identity.epoch);
  }
  const after = await buffer.status();
  latenciesMs.sort((a, b) => a - b);
  return {
    latenciesMs,
    bytesWritten: after.bytesWritten - before.bytesWritten,
    blockBytesWritten: after.blockBytesWritten - before.blockBytesWritten,
    bytesWaiting: after.bytesWaiting,
  };
}

/**
 * What deferred durability writes with an append a second, acknowledged by the time of the next or not at all. How much is
 * reserved, and when what is not acknowledged is written, follow the clock; so it is moved a second with each append.
 */
async function everySecond(path: string, appends: number, acknowledged: boolean): Promise<ThreadWrites> {
  let nowMs = 0;
  const newEpoch = () => randomFillSync(new Uint8Array(16));
  const options = { path, quotaBytes: 256 << 20, newEpoch, lossWindowMs: LOSS_WINDOW_MS, nowMs: () => nowMs };
  const engine = new BufferEngine({ ...options, crashBound: 0 });
  try {
    const before = threadWrites();
    const body = new Uint8Array(SMALL.bodyBytes);
    for (let at = 0; at < appends; at++) {
      randomFillSync(body);
      const { sequences } = engine.append([{ body: body.slice(), readings: SMALL.readings }], {
        crashBound: CRASH_BOUND,
      });
      nowMs += 1_000;
      if (acknowledged) engine.run((core) => core.acknowledge([{ first: 1, last: sequences[0] }]));
      if (engine.flushAtMs !== undefined && engine.flushAtMs <= nowMs) engine.flush();
    }
    const { callBytes, blockBytes } = threadWrites();
    return { callBytes: callBytes - before.callBytes, blockBytes: blockBytes - before.blockBytes };
  } finally {
    engine.close();
  }
}

/** Readings a second when 64 large batches share each commit. */
async function groupAppends(buffer: SqliteBuffer, groups: number): Promise<number> {
  const batches = Array.from({ length: 64 }, () => {
    return { body: randomFillSync(new Uint8Array(LARGE.bodyBytes)), readings: LARGE.readings };
  });
  const started = performance.now();
  for (let group = 0; group < groups; group++) {
    const { sequences } = await buffer.append(batches);
    await buffer.acknowledge([{ first: 1, last: sequences.at(-1)! }], buffer.identity.epoch);
  }
  return (groups * batches.length * LARGE.readings) / ((performance.now() - started) / 1_000);
}

async function rssBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
