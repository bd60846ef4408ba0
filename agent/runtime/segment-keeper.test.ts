import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { type ClockAnchor, ClockState, type SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { BufferIdentity, Buffer as EdgeBuffer, LineMoment } from '../buffer/buffer.js';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import { AgentCatalogue } from './agent-catalogue.js';
import { SegmentKeeper } from './segment-keeper.js';

const second = 1_000_000;
const log = pino({ level: 'silent' });
const { SYNCHRONIZED, ESTIMATED, PLACED, UNSYNCHRONIZED } = ClockState;

/** A machine whose clocks a test sets, in seconds, and a disk that it can fail. */
class Bench {
  monotonic = 10;
  wall = 110;
  success: number | undefined;
  asleep: number | undefined = 0;
  boot = 'a';
  isDiskFull = false;
  readonly segments: SegmentDeclaration[] = [];
  readonly anchors: ClockAnchor[] = [];
  line: LineMoment | undefined;

  async start(): Promise<SegmentKeeper> {
    const write = <T>(into: T[], what: Omit<T, 'id'>): T => {
      if (this.isDiskFull) throw new TributaryError('disk-full', 'no');
      const added = { ...what, id: into.length + 1 } as T;
      into.push(added);
      return added;
    };
    const identity = {
      epoch: new Uint8Array(16),
      series: [],
      segments: [...this.segments],
      anchors: [...this.anchors],
    } as unknown as BufferIdentity;
    const buffer = {
      identity,
      addSegment: async (segment: Omit<SegmentDeclaration, 'id'>) => write(this.segments, segment),
      addAnchor: async (anchor: Omit<ClockAnchor, 'id'>) => write(this.anchors, anchor),
    } as unknown as EdgeBuffer;
    const scheduler = new ManualScheduler();
    const catalogue = new AgentCatalogue(identity, { buffer, scheduler, random: seededRandom(1), log, changed() {} });
    const keeper = new SegmentKeeper({
      catalogue,
      clock: { monotonicUs: () => this.monotonic * second, wallUs: () => this.wall * second },
      host: {
        bootId: this.boot,
        synchronizedAtUs: () => (this.success === undefined ? undefined : this.success * second),
        sinceBootUs: () => (this.asleep === undefined ? undefined : (this.monotonic + this.asleep) * second),
      },
      log,
      line: () => this.line,
    });
    await keeper.begin();
    return keeper;
  }

  /** An exchange that takes a tenth of a second; the collector's clock is `ahead` of the monotonic one. */
  exchange(ahead: number) {
    const sentUs = (this.monotonic - 0.1) * second;
    const collectorUs = (this.monotonic - 0.05 + ahead) * second;
    return {
      sentUs,
      answeredUs: this.monotonic * second,
      collectorReceivedUs: collectorUs,
      collectorSentUs: collectorUs,
    };
  }

  async look(keeper: SegmentKeeper): Promise<void> {
    keeper.look();
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  }

  get states(): ClockState[] {
    return this.anchors.map(({ state }) => state);
  }
}

describe('keeping the segment that times are in', () => {
  it('goes on in the segment of an earlier start of this boot, and in a new one after a boot', async () => {
    const bench = new Bench();
    expect((await bench.start()).id).toBe(1);
    bench.monotonic = 50;
    bench.wall = -7;
    expect((await bench.start()).id).toBe(1);
    bench.boot = 'b';
    bench.line = { segment: 1, us: 49 * second };
    expect((await bench.start()).id).toBe(2);
    // Where the line before ended is noted, once.
    expect(bench.anchors).toMatchObject([{ segment: 1, atUs: 49 * second, state: UNSYNCHRONIZED }]);
    expect((await bench.start()).id).toBe(2);
    expect(bench.anchors).toHaveLength(1);
  });

  it('writes down what is better or has moved, and neither steps that nobody vouches for nor jitter', async () => {
    const bench = new Bench();
    const keeper = await bench.start();
    bench.wall += 5000;
    await bench.look(keeper);
    expect(bench.anchors).toHaveLength(0);
    expect(keeper.compared(bench.exchange(100))).toBeInstanceOf(Promise);
    await bench.look(keeper);
    expect(bench.states).toEqual([ESTIMATED]);
    expect(keeper.compared(bench.exchange(100.09))).toBe(undefined);
    await keeper.compared(bench.exchange(100.3));
    expect(bench.states).toEqual([ESTIMATED, ESTIMATED]);
    Object.assign(bench, { monotonic: 20, wall: 120.2, success: 119 });
    await bench.look(keeper);
    expect(bench.states).toEqual([ESTIMATED, ESTIMATED, SYNCHRONIZED]);
    expect(keeper.compared(bench.exchange(100.9))).toBe(undefined);
    Object.assign(bench, { monotonic: 30, wall: 130.25, success: 129 });
    await bench.look(keeper);
    expect(bench.anchors).toHaveLength(3);
    Object.assign(bench, { monotonic: 40, wall: 140.4, success: 139 });
    await bench.look(keeper);
    expect(bench.states).toEqual([ESTIMATED, ESTIMATED, SYNCHRONIZED, SYNCHRONIZED]);
    expect(keeper.id).toBe(1);
  });

  it('begins another after a sleep, and knows its offset from the one before and the length of the sleep', async () => {
    const bench = new Bench();
    const keeper = await bench.start();
    await keeper.compared(bench.exchange(100));
    Object.assign(bench, { monotonic: 20, wall: 7, asleep: 600 });
    await bench.look(keeper);
    expect(keeper.id).toBe(2);
    expect(bench.segments[1]).toMatchObject({ bootId: 'a', offsetUs: 700 * second, state: ESTIMATED });
    expect(bench.anchors.at(-1)).toMatchObject({ segment: 1, atUs: 20 * second, state: UNSYNCHRONIZED });
  });

  it('places what never knew the time before anything is uploaded', async () => {
    const bench = new Bench();
    await bench.start();
    Object.assign(bench, { boot: 'b', line: { segment: 1, us: 40 * second } });
    const keeper = await bench.start();
    await keeper.compared(bench.exchange(1000));
    expect(bench.anchors.map(({ segment, state }) => [segment, state])).toEqual([
      [1, UNSYNCHRONIZED],
      [2, ESTIMATED],
      [1, PLACED],
    ]);
  });

  it('holds the upload while a full disk keeps it from placing them, and only then', async () => {
    const bench = new Bench();
    const first = await bench.start();
    bench.isDiskFull = true;
    // Of the segment that is now the collector makes an estimate of its own.
    await expect(first.compared(bench.exchange(1000))).resolves.toBe(undefined);
    bench.isDiskFull = false;
    Object.assign(bench, { boot: 'b', line: { segment: 1, us: 40 * second } });
    const keeper = await bench.start();
    bench.isDiskFull = true;
    await expect(keeper.compared(bench.exchange(1000))).rejects.toMatchObject({ code: 'disk-full' });
    await expect(keeper.compared(bench.exchange(1000))).rejects.toMatchObject({ code: 'disk-full' });
    bench.isDiskFull = false;
    await keeper.compared(bench.exchange(1000));
    expect(bench.states).toEqual([UNSYNCHRONIZED, ESTIMATED, PLACED]);
    expect(keeper.compared(bench.exchange(1000))).toBe(undefined);
  });

  it('asks for the time again each hour while no time service keeps the clock', async () => {
    const bench = new Bench();
    const keeper = await bench.start();
    expect(keeper.takeExchangeDue()).toBe(true);
    expect(keeper.takeExchangeDue()).toBe(false);
    bench.monotonic += 3601;
    await keeper.compared(bench.exchange(100));
    expect(keeper.takeExchangeDue()).toBe(false);
    bench.monotonic += 3601;
    bench.wall += 7202;
    expect(keeper.takeExchangeDue()).toBe(true);
    bench.monotonic += 3601;
    bench.wall += 3601;
    bench.success = bench.wall - 1;
    await bench.look(keeper);
    expect(keeper.takeExchangeDue()).toBe(false);
  });

  it('claims no time that the collector contradicts', async () => {
    const bench = new Bench();
    bench.success = 100;
    const keeper = await bench.start();
    expect(bench.segments[0].state).toBe(SYNCHRONIZED);
    void keeper.compared(bench.exchange(5000));
    Object.assign(bench, { monotonic: 20, wall: 3720 });
    await bench.look(keeper);
    expect(bench.states).not.toContain(SYNCHRONIZED);
  });
});

describe('the wall time of a moment', () => {
  it('of now is as long ago as it is on the line, however a clock that nobody vouches for is set', async () => {
    const machine = new Bench();
    const keeper = await machine.start();
    const ago = (us: number) => keeper.wallUs() - keeper.wallUsOf(keeper.id, us);
    expect(ago(8 * second)).toBe(2 * second);
    machine.wall += 1.7e9;
    expect(ago(8 * second)).toBe(2 * second);
    await machine.look(keeper);
    expect(ago(8 * second)).toBe(2 * second);
    expect(keeper.wallUsOf(0, 5)).toBe(5);
  });

  it('of an earlier segment is what is known of it', async () => {
    const machine = new Bench();
    const first = await machine.start();
    const { id } = first;
    machine.boot = 'b';
    machine.monotonic = 1;
    machine.wall = 5000;
    const later = await machine.start();
    expect(later.id).not.toBe(id);
    expect(later.wallUsOf(id, 10 * second)).toBe(110 * second);
  });
});
