import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferCore } from './buffer-core.js';
import { DeferredItemTable } from './deferred-item-table.js';
import { decodeDeclaration } from './loss-entries.js';
import { MemoryItemTable } from './memory-item-table.js';

const EVERYTHING = Number.MAX_SAFE_INTEGER;
const WINDOW_MS = 10_000;
const QUOTA_BYTES = 1 << 20;

/** A disk that counts its commits, and the processes that run on it one after another. */
class Device {
  nowMs = 0;
  commits = 0;
  failing = false;
  readonly disk = new MemoryItemTable(() => {
    if (this.failing) throw new Error('the disk failed');
  });
  table!: DeferredItemTable;
  core!: BufferCore;

  constructor() {
    const commit = this.disk.commit.bind(this.disk);
    this.disk.commit = () => {
      commit();
      this.commits++;
    };
    this.start();
  }

  /** A process begins; whatever the one before had in memory is gone. */
  start(crashBound = 0): void {
    this.disk.crash();
    this.table = new DeferredItemTable(this.disk, { lossWindowMs: WINDOW_MS, nowMs: () => this.nowMs });
    this.core = new BufferCore(this.table, QUOTA_BYTES, new Uint8Array(16).fill(1));
    this.core.beginRun(crashBound);
  }

  append(readings = 1): number {
    return this.core.append([{ body: Uint8Array.of(readings, this.nowMs & 0xff, 3, 4), readings }]).sequences[0];
  }

  /** Time passes, and the timer of the loss window fires. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.core.deleteAcknowledged();
    const { flushAtMs } = this.table;
    if (flushAtMs !== undefined && flushAtMs <= this.nowMs) this.table.flush();
  }

  all(): Item[] {
    return this.core.read(1, EVERYTHING, EVERYTHING);
  }
}

describe('deferred durability', () => {
  it('spares the disk what is acknowledged in time: a commit in about two minutes', () => {
    const device = new Device();
    for (let at = 0; at < 600; at++) {
      const sequence = device.append(10);
      device.pass(1_000);
      device.core.acknowledge([{ first: 1, last: sequence - 5 }]);
    }
    const { commits } = device;
    for (let at = 0; at < 1_200; at++) {
      const sequence = device.append(10);
      device.pass(1_000);
      device.core.acknowledge([{ first: 1, last: sequence - 5 }]);
    }
    expect(device.commits - commits).toBeGreaterThanOrEqual(8);
    expect(device.commits - commits).toBeLessThanOrEqual(12);
  });

  it('writes what is not acknowledged within the loss window, many to a transaction', () => {
    const device = new Device();
    const { commits } = device;
    for (let at = 0; at < 60; at++) {
      device.append();
      device.pass(1_000);
    }
    expect(device.commits - commits).toBe(6);
    device.start();
    expect(device.all().filter(({ kind }) => kind === 1)).toHaveLength(60);
  });

  it('declares after a crash what was reserved, as a bound, and uses no sequence of it again', () => {
    const device = new Device();
    for (let at = 0; at < 5; at++) device.append(10);
    device.start();
    const [declaration] = device.all();
    const { epoch, highestSequence } = device.core.state;
    const [entry] = decodeDeclaration(declaration.body);
    expect(entry).toMatchObject({ epoch, first: 1, bound: true, reason: LossReason.CRASH_WINDOW });
    expect(entry.last).toBeGreaterThanOrEqual(5);
    expect(entry.readings).toBeGreaterThanOrEqual(50);
    expect(declaration).toMatchObject({ sequence: entry.last + 1, readingsBefore: entry.readings });
    expect(highestSequence).toBe(declaration.sequence);
    expect(device.append(3)).toBe(highestSequence + 1);
    expect(device.core.state.readingsProduced).toBe(entry.readings + 3);
  });

  it('leaves nothing to declare when it ends in order', () => {
    const device = new Device();
    for (let at = 0; at < 5; at++) device.append(10);
    device.core.acknowledge([{ first: 1, last: 2 }]);
    device.core.endRun();
    device.start();
    expect(device.all().map(({ sequence, kind }) => [sequence, kind])).toEqual([
      [3, 1],
      [4, 1],
      [5, 1],
    ]);
    expect(device.append()).toBe(6);
  });

  it('writes at once what others rely on, and everything before it', () => {
    const device = new Device();
    device.append(10);
    device.core.addSeries([{ name: 't', unit: '', labels: {}, type: 1 }]);
    device.append(10);
    device.core.lose([{ readings: 4, reason: LossReason.EVICTED }]);
    device.append(10);
    device.start();
    expect(device.table.series()).toHaveLength(1);
    const found = device.all().map(({ sequence, kind }) => [sequence, kind]);
    expect(found.slice(0, 3)).toEqual([
      [1, 1],
      [2, 1],
      [4, 2],
    ]);
  });

  it('keeps what is in memory when the disk fails and is opened anew', () => {
    const device = new Device();
    device.append(10);
    device.append(10);
    device.failing = true;
    expect(() => device.table.flush()).toThrow('the disk failed');
    device.failing = false;
    device.disk.crash();
    device.table.attach(device.disk);
    expect(device.all()).toHaveLength(2);
    device.table.flush();
    expect(device.disk.totals()).toEqual({ items: 2, readings: 20 });
  });

  it('takes the disk at its word when a transaction that failed is there after all', () => {
    const device = new Device();
    device.append(10);
    const commit = device.disk.commit;
    device.disk.commit = () => {
      commit.call(device.disk);
      throw new Error('the flush of a commit failed');
    };
    const before = device.core;
    expect(() => device.core.lose([{ readings: 5, reason: LossReason.EVICTED }])).toThrow();
    device.disk.commit = commit;
    device.table.attach(device.disk);
    const core = new BufferCore(device.table, QUOTA_BYTES, new Uint8Array(16));
    core.withdraw(before);
    device.core = core;
    expect(device.all().map(({ sequence }) => sequence)).toEqual([1]);
    expect(device.append(2)).toBe(2);
    // Nobody may find the sequence that was taken back with what it had at first.
    device.start();
    const kinds = device.all().map(({ sequence, kind }) => [sequence, kind]);
    expect(kinds.filter(([sequence]) => sequence === 2)).toEqual([]);
  });

  it('never gives a sequence twice, and loses nothing older than the window, whenever it is killed', () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ do: fc.constant('append' as const), readings: fc.integer({ min: 1, max: 50 }) }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), answered: fc.boolean() }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 4_000 }) }) },
      fc.record({ do: fc.constant('kill' as const) }),
      fc.record({ do: fc.constant('kill in a commit' as const) }),
      fc.record({ do: fc.constant('stop' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 150, size: 'max' }), (steps) => {
        const device = new Device();
        const collector = new Map<number, Item>();
        const appended = new Map<number, number>();
        const killed = () => {
          const killedAtMs = device.nowMs;
          device.start();
          const there = new Set(device.all().map(({ sequence }) => sequence));
          for (const [sequence, atMs] of appended) {
            if (there.has(sequence) || collector.has(sequence)) continue;
            expect(killedAtMs - atMs, `age of ${sequence}, which is lost`).toBeLessThan(WINDOW_MS);
            appended.delete(sequence);
          }
        };
        for (const each of steps) {
          if (each.do === 'append') appended.set(device.append(each.readings), device.nowMs);
          else if (each.do === 'pass') device.pass(each.ms);
          else if (each.do === 'stop') {
            device.core.endRun();
            device.start();
          } else if (each.do === 'send') {
            for (const item of device.all()) {
              const had = collector.get(item.sequence);
              expect(had === undefined || had.checksum === item.checksum, `bytes of ${item.sequence}`).toBe(true);
              collector.set(item.sequence, item);
            }
            const last = device.core.state.highestSequence;
            if (each.answered) device.core.acknowledge([{ first: 1, last }]);
          } else {
            device.failing = each.do === 'kill in a commit';
            try {
              if (device.failing) device.table.flush();
            } catch {
              // That was the power.
            }
            device.failing = false;
            killed();
          }
        }
        checkLedger(device, collector);
      }),
      { numRuns: Number(process.env.TRIBUTARY_PROPERTY_RUNS ?? 100), seed: 20240301 },
    );
  });
});

/** Every sequence is stored or declared, and the bounds are enough for what lies between. */
function checkLedger(device: Device, collector: Map<number, Item>): void {
  for (const item of device.all()) collector.set(item.sequence, item);
  const declared = [...collector.values()]
    .filter(({ kind }) => kind === 2)
    .flatMap(({ body }) => decodeDeclaration(body));
  let before = 0;
  for (let sequence = 1; sequence <= device.core.state.highestSequence; sequence++) {
    const item = collector.get(sequence);
    if (item === undefined) {
      expect(
        declared.some(({ first, last }) => first <= sequence && sequence <= last),
        `${sequence}`,
      ).toBe(true);
      continue;
    }
    expect(item.readingsBefore).toBeGreaterThanOrEqual(before);
    before = item.readingsBefore + item.readings;
  }
  const stored = [...collector.values()].reduce((sum, { readings }) => sum + readings, 0);
  const bound = declared.reduce((sum, { readings }) => sum + readings, 0);
  expect(device.core.state.readingsProduced).toBeLessThanOrEqual(stored + bound);
}
