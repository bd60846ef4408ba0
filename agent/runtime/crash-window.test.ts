import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_BATCH_BOUNDS } from '../batching/batch-bounds.js';
import { Batcher } from '../batching/batcher.js';
import { CRASH_BOUND_AT_START, CrashWindow } from './crash-window.js';

/** A device with rows of so many series, whose disk takes one append at a time. */
class Device {
  nowUs = 0;
  /** The bound on the disk. */
  bound = CRASH_BOUND_AT_START;
  appends = 0;
  #flight: { readings: number; bound: number } | undefined;
  readonly batcher: Batcher;
  readonly window: CrashWindow;
  readonly #row: () => void;

  constructor(
    width: number,
    readonly readingsMax = 1000,
  ) {
    this.batcher = new Batcher(
      {
        registry: { idOf: () => 1 },
        nowUs: () => this.nowUs,
        segmentId: () => 1,
        drop: () => {},
        wake: () => {},
      },
      { ...DEFAULT_BATCH_BOUNDS, readings: readingsMax },
    );
    this.window = new CrashWindow(this.batcher, readingsMax);
    const sink = this.batcher.openGroup('monotonic');
    const series = Array.from({ length: width }, (_, at) =>
      sink.addSeries({ name: `s${at}`, unit: '', labels: {}, type: 'double' }),
    );
    this.#row = () => {
      sink.begin(this.nowUs);
      for (const at of series) sink.number(at, 1);
      sink.end();
    };
  }

  /** Readings that a crash would take along now. */
  get inMemory(): number {
    return this.batcher.pendingReadings + (this.#flight?.readings ?? 0);
  }

  row(): void {
    this.#row();
  }

  /** Takes what is closed, as the writer does, unless an append is on its way. */
  pump(): void {
    if (this.#flight !== undefined) return;
    const batches: { readings: number }[] = [];
    for (let taken = this.batcher.take(); taken !== undefined; taken = this.batcher.take()) {
      batches.push({ readings: taken.batch.readings });
      taken.release();
    }
    if (batches.length === 0) return;
    const readings = batches.reduce((sum, batch) => sum + batch.readings, 0);
    this.#flight = { readings, bound: this.window.taken(batches) };
  }

  /** The append is on the disk. */
  land(): void {
    if (this.#flight === undefined) return;
    this.bound = this.#flight.bound;
    this.#flight = undefined;
    this.appends++;
    this.window.written();
    this.pump();
  }
}

describe('what a crash takes along', () => {
  it('stays within the bound that was written before, at any rate and however it changes', () => {
    const phase = fc.record({
      rowsPerSecond: fc.integer({ min: 1, max: 400 }),
      seconds: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(phase, { minLength: 1, maxLength: 8 }), (width, phases) => {
        const device = new Device(width);
        for (const { rowsPerSecond, seconds } of phases) {
          for (let row = 0; row < rowsPerSecond * seconds; row++) {
            device.nowUs += 1_000_000 / rowsPerSecond;
            device.batcher.tick(device.nowUs);
            device.pump();
            expect(device.inMemory).toBeLessThanOrEqual(device.bound);
            // The disk is faster than batches close.
            device.land();
            device.row();
            expect(device.inMemory).toBeLessThanOrEqual(device.bound);
          }
        }
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it('is of the size of two batches where the rate is steady, and costs no append more', () => {
    const device = new Device(10);
    for (let second = 0; second < 60; second++) {
      device.nowUs += 1_000_000;
      device.batcher.tick(device.nowUs);
      device.pump();
      device.land();
      device.row();
    }
    expect(device.appends).toBe(59);
    expect(device.bound).toBe(128);
  });

  it('holds for rows that are larger than a batch is meant to be', () => {
    const device = new Device(500);
    for (let second = 0; second < 5; second++) {
      device.nowUs += 1_000_000;
      device.batcher.tick(device.nowUs);
      device.pump();
      device.land();
      device.row();
      if (second > 0) expect(device.inMemory).toBeLessThanOrEqual(device.bound);
    }
  });
});
