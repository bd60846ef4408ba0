import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { DEFAULT_BATCH_BOUNDS } from '../batching/batch-bounds.js';
import { Batcher } from '../batching/batcher.js';
import type { Buffer as EdgeBuffer, EncodedBatch, Loss } from '../buffer/buffer.js';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import { BatchWriter } from './batch-writer.js';
import { CrashWindow } from './crash-window.js';

/** A batcher of one series, and a disk that fails as often as it is told. */
function surroundings(failures: number) {
  const scheduler = new ManualScheduler();
  const appended: EncodedBatch[][] = [];
  const told: number[] = [];
  const written: number[] = [];
  const clock = { us: 0 };
  const lost: number[] = [];
  let left = failures;
  const buffer = {
    append: async (batches: readonly EncodedBatch[]) => {
      if (left-- > 0) throw new TributaryError('disk-full', 'no space');
      appended.push([...batches]);
      const first = appended.flat().length - batches.length + 1;
      return { sequences: batches.map((_, at) => first + at), stored: true, evicted: [], evictedReadings: 0 };
    },
    lose: async (losses: readonly Loss[]) => {
      if (faults.losesFailing-- > 0) throw new TributaryError('disk-full', 'no space');
      for (const { readings } of losses) lost.push(readings);
    },
  } as Partial<EdgeBuffer> as EdgeBuffer;
  const faults = { known: true, losesFailing: 0 };
  const batcher: Batcher = new Batcher(
    {
      registry: { idOf: () => (faults.known ? 1 : 'pending') },
      nowUs: () => clock.us,
      segmentId: () => 1,
      drop: (_, readings) => writer.overflowed(readings),
      wake: () => {},
    },
    { ...DEFAULT_BATCH_BOUNDS, readings: 10, pendingReadings: 100 },
  );
  const sink = batcher.openGroup('monotonic');
  const index = sink.addSeries({ name: 't', unit: '', labels: {}, type: 'double' });
  const produce = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) {
      sink.begin(i * 1000);
      sink.number(index, i);
      sink.end();
    }
  };
  const writer: BatchWriter = new BatchWriter({
    batcher,
    buffer,
    scheduler,
    random: seededRandom(1),
    crashWindow: new CrashWindow(batcher, 10),
    log: pino({ level: 'silent' }),
    prepare: async () => {},
    appended: (sequences) => told.push(...sequences),
    writtenUntil: (us) => written.push(us),
    nowUs: () => clock.us,
    segment: () => 1,
  });
  return { scheduler, appended, lost, faults, told, written, clock, writer, batcher, produce };
}

describe('writing batches', () => {
  it('appends what has closed meanwhile in one group', async () => {
    const world = surroundings(0);
    world.produce(0, 10);
    world.writer.pump();
    world.produce(10, 30);
    await world.writer.drain(1000);
    expect(world.appended.map((group) => group.length)).toEqual([1, 3]);
    expect(world.told).toEqual([1, 2, 3, 4]);
    expect(world.writer.counters).toMatchObject({ closed: 4, readings: 40, appendFailures: 0, readingsLost: 0 });
    expect(world.writer.pendingReadings).toBe(0);
  });

  it('tries again with the same bytes, and drops nothing meanwhile', async () => {
    const world = surroundings(3);
    world.produce(0, 20);
    world.writer.pump();
    world.produce(20, 20);
    const drained = world.writer.drain(1e9);
    for (let i = 0; i < 10; i++) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      world.scheduler.advance(30_000);
    }
    await drained;
    expect(world.writer.counters).toMatchObject({ appendFailures: 3, readings: 40, readingsLost: 0 });
    expect(world.told).toEqual([1, 2, 3, 4]);
  });

  it('counts what is lost when the disk does not come back before the stop', async () => {
    const world = surroundings(Number.POSITIVE_INFINITY);
    world.produce(0, 20);
    const drained = world.writer.drain(5000);
    await turns();
    world.scheduler.advance(5000);
    await drained;
    expect(world.writer.counters.readingsLost).toBe(20);
    // The disk took that much at last.
    expect(world.lost).toEqual([20]);
    expect(world.writer.pendingReadings).toBe(0);
  });

  it('declares what memory had no room for while the disk was away, so that all that was produced is accounted for', async () => {
    const world = surroundings(4);
    world.faults.losesFailing = 1;
    for (let i = 0; i < 25; i++) {
      world.produce(i * 10, 10);
      world.writer.pump();
      await turns();
    }
    for (let i = 0; i < 6; i++) {
      world.scheduler.advance(30_000);
      await turns();
    }
    world.produce(250, 10);
    await world.writer.drain(1000);
    const stored = world.appended.flat().reduce((sum, { readings }) => sum + readings, 0);
    const declared = world.lost.reduce((sum, readings) => sum + readings, 0);
    expect(declared).toBeGreaterThan(100);
    expect(stored + declared).toBe(260);
    expect(world.writer.counters).toMatchObject({ readings: 260, readingsLost: 0 });
  });

  it('waits before a stop for the ids of series that were new a moment ago', async () => {
    const world = surroundings(0);
    world.faults.known = false;
    world.produce(0, 10);
    const drained = world.writer.drain(5000);
    await turns();
    world.faults.known = true;
    world.writer.pump();
    await drained;
    expect(world.told).toEqual([1]);
    expect(world.writer.counters).toMatchObject({ readings: 10, readingsLost: 0 });
  });

  it('says until when everything is written, also while readings never cease to come', async () => {
    const world = surroundings(0);
    world.clock.us = 1000;
    world.produce(0, 10);
    // Opens the next batch.
    world.clock.us = 2000;
    world.produce(10, 1);
    world.clock.us = 3000;
    world.writer.pump();
    world.produce(11, 1);
    await turns();
    expect(world.told).toEqual([1]);
    expect(world.written).toEqual([2000]);
  });

  it('counts what is lost when no ids come before the stop', async () => {
    const world = surroundings(0);
    world.faults.known = false;
    world.produce(0, 10);
    const drained = world.writer.drain(5000);
    await turns();
    world.scheduler.advance(5000);
    await drained;
    expect(world.writer.counters).toMatchObject({ readings: 10, readingsLost: 10 });
  });
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}
