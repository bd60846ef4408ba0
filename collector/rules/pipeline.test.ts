import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scheduler } from '@tributary/core/clock/clock';
import { parseRules } from '@tributary/core/rules/rule';
import type { Batch } from '@tributary/proto/batch/batch';
import { type Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rebuildRollups } from '../rollups/rebuild.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import type { CheckedItem, Store } from '../store/store.js';
import { StoreError } from '../store/store-error.js';
import { DerivedPipeline } from './pipeline.js';
import { readingsBatch, TestDevice } from './test-device.js';

const logger = pino({ level: 'silent' });
const NOW_US = 100_000_000e6;
const clock = { wallUs: () => NOW_US };
/** Nothing is saved but when a test says so. */
const still: Scheduler = { nowMs: () => 0, setTimer: () => () => {} };
const hot =
  'rules: [{name: hot, select: {name: temperature}, above: 10, clear: 8, annotations: {t: "{{device}} {{value}}"}}]';

let folder: string;
let store: SqliteStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-pipeline-'));
  store = await SqliteStore.open({ path: join(folder, 'store.db') });
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function pipeline(rules = hot, wake: (deviceId: number) => void = () => {}): DerivedPipeline {
  return new DerivedPipeline({ store, rules: parseRules(rules, 'rules.yaml'), clock, scheduler: still, logger, wake });
}

async function alerts(deviceId: number): Promise<Alert[]> {
  return (await store.listAlerts({ deviceId, firingOnly: false }, 0, 1000)).alerts;
}

function story(all: readonly Alert[]): string[] {
  return all.map(({ state, transitionAtUs, late }) => {
    return `${AlertState[state]}@${transitionAtUs / 1e6}${late ? ' late' : ''}`.toLowerCase();
  });
}

function hexOf({ incidentId }: { incidentId: Uint8Array }): string {
  return Buffer.from(incidentId).toString('hex');
}

async function incidents(deviceId: number) {
  const filter = { deviceId, openOnly: false, withRetracted: false };
  const { incidents: found } = await store.readIncidents(filter, '', 100);
  return found
    .map((one) => ({
      started: one.startedAtUs / 1e6,
      fired: one.firedAtUs / 1e6,
      resolved: one.resolvedAtUs === undefined ? undefined : one.resolvedAtUs / 1e6,
      notified: one.notified,
      id: hexOf(one),
    }))
    .sort((a, b) => a.started - b.started);
}

async function rollups(of: Store, deviceId: number) {
  const [series] = (await of.listSeries(deviceId)).filter(({ name }) => name === 'temperature');
  const read = (step: 60 | 900) => of.readRollups(deviceId, series!.seriesId, step, -1e15, 1e15);
  return [await read(60), await read(900)];
}

describe('the derived pipeline', () => {
  it('stores alerts with their texts, tells the device, and saves rollups', async () => {
    const woken: number[] = [];
    const derived = pipeline(hot, (deviceId) => woken.push(deviceId));
    await derived.start();
    const device = await new TestDevice(store, 'kiln').register();
    derived.introduce(device.deviceId, device.name);
    await device.commitAndFollow(derived, [
      device.item(
        readingsBatch([
          [0, 5],
          [1, 12],
          [2, 9],
        ]),
      ),
    ]);
    await device.commitAndFollow(derived, [device.item(readingsBatch([[70, 8]]))]);
    await derived.flush();
    expect(story(await alerts(device.deviceId))).toEqual(['firing@1', 'resolved@70']);
    const [firing] = await store.readAlerts(device.deviceId, 0, 10);
    expect(firing).toMatchObject({ number: 1, rule: 'hot', device: 'kiln', value: 12, annotations: { t: 'kiln 12' } });
    expect(woken.length).toBeGreaterThan(0);
    const [minutes, quarters] = await rollups(store, device.deviceId);
    expect(Array.from(minutes!.count)).toEqual([3, 1]);
    expect(Array.from(quarters!.count)).toEqual([4]);
    expect(await store.undigested()).toEqual([]);
    await derived.stop();
  });

  it('reads back what the last process had not saved, and comes to the same incidents', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const first = pipeline();
    await first.start();
    await device.commitAndFollow(first, [device.item(readingsBatch([[0, 12]]))]);
    await device.commitAndFollow(first, [
      device.item(
        readingsBatch([
          [1, 5],
          [2, 13],
        ]),
      ),
    ]);
    // The process ends here: alerts may be stored, rollups and marks are not.
    const second = pipeline();
    await second.start();
    await device.commitAndFollow(second, [device.item(readingsBatch([[3, 7]]))]);
    await second.flush();
    expect(story(await alerts(device.deviceId))).toEqual(['firing@0', 'resolved@1', 'firing@2', 'resolved@3']);
    const [minutes] = await rollups(store, device.deviceId);
    expect(Array.from(minutes!.count)).toEqual([4]);
    await second.stop();
  });

  it('finds the same incidents wherever it was restarted, over both lanes', async () => {
    const value = fc.integer({ min: 6, max: 13 });
    const rows = fc.array(value, { minLength: 1, maxLength: 6 });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(rows, { minLength: 3, maxLength: 10 }),
        fc.nat(8),
        fc.nat(10),
        fc.array(fc.boolean(), { maxLength: 20 }),
        async (values, holeAt, holeLength, restarts) => {
          round += 1;
          // Batches in order of sequence; those of a hole come as backfill, each after a live one.
          const live: CheckedItem[] = [];
          const backfill: CheckedItem[] = [];
          const calm = await new TestDevice(store, `calm-${round}`).register();
          const shaken = await new TestDevice(store, `shaken-${round}`).register();
          for (const [index, batch] of values.entries()) {
            const isHole = index >= holeAt && index < holeAt + holeLength && index < values.length - 1;
            const readings = batch.map((one, row): [number, number] => [index * 100 + row, one]);
            const item = calm.item(readingsBatch(readings), { lane: isHole ? Lane.BACKFILL : Lane.LIVE });
            (isHole ? backfill : live).push(item);
          }
          const order: CheckedItem[] = [];
          for (const item of live) {
            order.push(item);
            // Backfill begins once live has jumped over the hole.
            const next = backfill[0];
            if (next !== undefined && item.sequence > next.sequence) order.push(backfill.shift()!);
          }
          order.push(...backfill);

          const one = pipeline();
          await one.start();
          for (const item of order) await calm.commitAndFollow(one, [item]);
          await one.stop();

          let many = pipeline();
          await many.start();
          for (const [index, item] of order.entries()) {
            await shaken.commitAndFollow(many, [item]);
            if (restarts[index] === true) {
              if (index % 2 === 0) await many.flush();
              many = pipeline();
              await many.start();
            }
          }
          await many.stop();
          const plain = ({ incidentId: _, device: __, annotations: ___, ...alert }: Alert) => ({ ...alert, number: 0 });
          const sorted = (all: Alert[]) => all.map((alert) => JSON.stringify(plain(alert))).sort();
          expect(sorted(await alerts(shaken.deviceId))).toEqual(sorted(await alerts(calm.deviceId)));
        },
      ),
      { seed: 20260403, numRuns: 40 },
    );
  });

  it('notifies nobody of history, and tells an incident that goes on under its id', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    const backfill = { lane: Lane.BACKFILL };
    await device.commitAndFollow(derived, [
      device.item(
        readingsBatch([
          [0, 12],
          [1, 5],
          [2, 12],
        ]),
        backfill,
      ),
    ]);
    await derived.flush();
    expect(story(await alerts(device.deviceId))).toEqual(['firing@0 late', 'resolved@1 late', 'firing@2 late']);
    expect(await store.readAlerts(device.deviceId, 0, 10)).toEqual([]);
    await device.commitAndFollow(derived, [
      device.item(
        readingsBatch([
          [3, 11],
          [4, 5],
        ]),
      ),
    ]);
    await derived.flush();
    const told = await store.readAlerts(device.deviceId, 0, 10);
    expect(story(told)).toEqual(['firing@3', 'resolved@4']);
    const late = (await alerts(device.deviceId))[2]!;
    expect(told.map(({ incidentId }) => Buffer.from(incidentId).toString('hex'))).toEqual(
      Array(2).fill(Buffer.from(late.incidentId).toString('hex')),
    );
    await derived.stop();
  });

  it('judges what live data has jumped over in a pass of its own', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    await device.commitAndFollow(derived, [device.item(readingsBatch([[0, 5]]))]);
    const missed = [
      readingsBatch([
        [10, 12],
        [11, 5],
      ]),
      readingsBatch([[20, 12]]),
    ].map((batch) => device.item(batch, { lane: Lane.BACKFILL }));
    await device.commitAndFollow(derived, [device.item(readingsBatch([[30, 12]]))]);
    for (const item of missed) await device.commitAndFollow(derived, [item]);
    await device.commitAndFollow(derived, [device.item(readingsBatch([[31, 5]]))]);
    await derived.settle();
    expect(story(await store.readAlerts(device.deviceId, 0, 10))).toEqual(['firing@30', 'resolved@31']);
    // The incident that was told of began in the hole, and another one was there and over.
    const told = (await alerts(device.deviceId)).find(({ number }) => number === 1)!;
    expect(await incidents(device.deviceId)).toEqual([
      { started: 10, fired: 10, resolved: 11, notified: false, id: expect.not.stringContaining(hexOf(told)) },
      { started: 20, fired: 20, resolved: 31, notified: true, id: hexOf(told) },
    ]);
    await derived.stop();
  });

  it('keeps the state of unchanged rules and ends incidents of changed ones', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const first = pipeline();
    await first.start();
    await device.commitAndFollow(first, [device.item(readingsBatch([[0, 12]]))]);
    await first.stop();
    const second = pipeline(hot.replace('above: 10', 'above: 11'));
    await second.start();
    await second.flush();
    expect(story(await alerts(device.deviceId))).toEqual(['firing@0', 'resolved@0']);
    await second.stop();
  });

  it('rebuilds rollups from the readings and finds them equal', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    for (const start of [0, 500, 100, 2000, 700]) {
      const rows = Array.from({ length: 200 }, (_, at): [number, number] => [start + at, Math.sin(start + at) * 50]);
      await device.commitAndFollow(derived, [device.item(readingsBatch(rows))]);
      if (start === 100) await derived.flush();
    }
    await derived.stop();
    const before = await rollups(store, device.deviceId);
    const alertsBefore = await alerts(device.deviceId);
    await rebuildRollups(store, logger);
    const after = await rollups(store, device.deviceId);
    for (const [at, columns] of after.entries()) {
      const { mean, m2, ...exact } = columns;
      const { mean: meanBefore, m2: m2Before, ...exactBefore } = before[at]!;
      expect(exact).toEqual(exactBefore);
      for (const [row, value] of mean.entries()) expect(Math.abs(value - meanBefore[row]!)).toBeLessThan(50e-12);
      for (const [row, value] of m2.entries()) expect(value / m2Before[row]!).toBeCloseTo(1, 9);
    }
    expect(await alerts(device.deviceId)).toEqual(alertsBefore);
    expect(await store.undigested()).toEqual([]);
  });

  it('ends when the store is away, and loses nothing by it', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const away = new Proxy(store, {
      get(target, name) {
        if (name === 'appendAlerts' || name === 'saveDerived')
          return () => Promise.reject(new StoreError('io', 'away'));
        const member = Reflect.get(target, name, target) as unknown;
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    const rules = parseRules(hot, 'rules.yaml');
    const first = new DerivedPipeline({ store: away, rules, clock, scheduler: still, logger, wake: () => {} });
    await first.start();
    first.introduce(device.deviceId, device.name);
    await device.commitAndFollow(first, [device.item(readingsBatch([[0, 12]]))]);
    await first.stop();
    expect(await alerts(device.deviceId)).toEqual([]);
    const second = pipeline();
    await second.start();
    expect(story(await alerts(device.deviceId))).toEqual(['firing@0']);
    expect(await store.undigested()).toEqual([]);
    await second.stop();
  });

  it('passes by what it cannot keep up with and reads it back, each commit once', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = new Proxy(store, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') return member;
        if (name !== 'saveDerived') return member.bind(target);
        return async (...args: unknown[]) => {
          await gate;
          return member.apply(target, args) as unknown;
        };
      },
    });
    const rules = parseRules(hot, 'rules.yaml');
    const limits = { rollupRowsMax: 4 };
    const derived = new DerivedPipeline({
      store: slow,
      rules,
      clock,
      scheduler: still,
      logger,
      wake: () => {},
      limits,
    });
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    let most = 0;
    for (let minute = 0; minute < 40; minute += 1) {
      await device.commitAndFollow(derived, [device.item(readingsBatch([[minute * 60, minute % 2 === 0 ? 12 : 5]]))]);
      most = Math.max(most, derived.counters.rollupRowsWaiting);
    }
    expect(derived.busy()).toBe(true);
    expect(most).toBeLessThanOrEqual(4);
    release();
    while (derived.counters.devicesBehind > 0) await new Promise((resolve) => setImmediate(resolve));
    await derived.stop();
    const [minutes] = await rollups(store, device.deviceId);
    expect(Array.from(minutes!.count)).toEqual(Array(40).fill(1));
    expect((await alerts(device.deviceId)).length).toBe(40);
    expect(await store.undigested()).toEqual([]);
  });

  it('saves nothing behind a save that failed at the end, so that the next start finds it', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    let fail: () => void = () => {};
    const failing = new Promise<void>((_, reject) => {
      fail = () => reject(new StoreError('io', 'away'));
    });
    const once = [failing];
    const shaky = new Proxy(store, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') return member;
        if (name !== 'saveDerived') return member.bind(target);
        return async (...args: unknown[]) => {
          await once.pop();
          return member.apply(target, args) as unknown;
        };
      },
    });
    const derived = new DerivedPipeline({ store: shaky, rules: [], clock, scheduler: still, logger, wake: () => {} });
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    await device.commitAndFollow(derived, [device.item(readingsBatch([[0, 1]]))]);
    const flushed = derived.flush().catch(() => 'failed');
    await device.commitAndFollow(derived, [device.item(readingsBatch([[1, 2]]))]);
    const stopped = derived.stop();
    fail();
    await stopped;
    expect(await flushed).toBe('failed');
    const next = pipeline();
    await next.start();
    await next.stop();
    const [minutes] = await rollups(store, device.deviceId);
    expect(Array.from(minutes!.count)).toEqual([2]);
  });

  it('has saved everything when a flush beside another one is done', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    await device.commitAndFollow(derived, [device.item(readingsBatch([[0, 1]]))]);
    const first = derived.flush();
    await device.commitAndFollow(derived, [device.item(readingsBatch([[1, 2]]))]);
    const second = derived.flush();
    await derived.flush();
    expect(await store.undigested()).toEqual([]);
    await Promise.all([first, second]);
    await derived.stop();
  });

  it('keeps rollups of readings that have expired when the rest is made anew', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    const minutesFrom = (first: number, last: number) =>
      readingsBatch(Array.from({ length: last - first + 1 }, (_, at) => [(first + at) * 60, first + at] as const));
    for (const [first, last] of [[0, 9] as const, [10, 19] as const, [20, 59] as const]) {
      await device.commitAndFollow(derived, [device.item(minutesFrom(first, last))]);
    }
    await derived.flush();
    expect(await store.expire(15 * 60e6)).toBe(10);
    await device.commitAndFollow(derived, [device.item(minutesFrom(5, 5), { lane: Lane.BACKFILL })]);
    await derived.stop();
    const before = await rollups(store, device.deviceId);
    for (let time = 0; time < 2; time += 1) {
      await rebuildRollups(store, logger);
      expect(await rollups(store, device.deviceId)).toEqual(before);
    }
    // Interrupted right after it began, it is completed by a start that also takes new data.
    await store.clearRollups();
    const next = pipeline();
    await next.start();
    await next.stop();
    expect(await rollups(store, device.deviceId)).toEqual(before);
  });

  it('is not blinded by a reading from the future', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    await device.commitAndFollow(derived, [
      device.item(readingsBatch([[200_000_000, 5]]), { quality: TimeQuality.FUTURE }),
    ]);
    await device.commitAndFollow(derived, [device.item(readingsBatch([[10, 12]]))]);
    await derived.stop();
    expect(story(await alerts(device.deviceId))).toEqual(['firing@10']);
    expect(derived.counters.readingsFromFuture).toBe(1);
    const [minutes] = await rollups(store, device.deviceId);
    expect(Array.from(minutes!.count)).toEqual([1, 1]);
  });

  it('goes on after a batch that it has a bug with', async () => {
    const device = await new TestDevice(store, 'kiln').register();
    const derived = pipeline();
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    const { position, batches } = await device.commit([
      device.item(readingsBatch([[0, 1]])),
      device.item(readingsBatch([[1, 2]])),
    ]);
    const broken = { ...batches[0]!, batch: undefined as unknown as Batch };
    derived.follow([broken, batches[1]!]);
    derived.committed(device.deviceId, position);
    await derived.stop();
    expect(derived.counters.batchesFailed).toBe(1);
    const [minutes] = await rollups(store, device.deviceId);
    expect(Array.from(minutes!.count)).toEqual([1]);
  });

  describe('when a store did what it then could not confirm', () => {
    /** The store, whose next call of each named method works and rejects all the same. */
    function unconfirmed(...names: (keyof Store)[]): Store {
      const left = new Set<PropertyKey>(names);
      return new Proxy<Store>(store, {
        get(_, name) {
          const member = Reflect.get(store, name, store) as unknown;
          if (typeof member !== 'function') return member;
          return async (...args: unknown[]) => {
            const answer = (await member.apply(store, args)) as unknown;
            if (left.delete(name)) throw new StoreError('io', 'the connection was lost');
            return answer;
          };
        },
      });
    }
    /** Whoever waits is woken at once. */
    const eager: Scheduler = {
      nowMs: () => 0,
      setTimer: (_, fire) => {
        const timer = setImmediate(fire);
        return () => clearImmediate(timer);
      },
    };
    const over = (of: Store, wake: (deviceId: number) => void = () => {}) =>
      new DerivedPipeline({ store: of, rules: parseRules(hot, 'rules.yaml'), clock, scheduler: eager, logger, wake });

    it('counts saved rollups once, and wakes the device for stored alerts', async () => {
      const woken: number[] = [];
      const derived = over(unconfirmed('saveDerived', 'appendAlerts'), (deviceId) => woken.push(deviceId));
      await derived.start();
      const device = await new TestDevice(store, 'kiln').register();
      derived.introduce(device.deviceId, device.name);
      await device.commitAndFollow(derived, [device.item(readingsBatch([[0, 12]]))]);
      await derived.flush();
      await derived.stop();
      const [minutes] = await rollups(store, device.deviceId);
      expect(Array.from(minutes!.count)).toEqual([1]);
      expect(story(await alerts(device.deviceId))).toEqual(['firing@0']);
      expect(woken).toContain(device.deviceId);
    });

    it.each([false, true])('reads back a commit that nobody was told of (the device is known: %s)', async (isKnown) => {
      const derived = over(store);
      await derived.start();
      const device = await new TestDevice(store, 'kiln').register();
      derived.introduce(device.deviceId, device.name);
      if (isKnown) await device.commitAndFollow(derived, [device.item(readingsBatch([[0, 5]]))]);
      await device.commit([device.item(readingsBatch([[1, 12]]))]);
      derived.uncertain(device.deviceId);
      await device.commitAndFollow(derived, [device.item(readingsBatch([[2, 5]]))]);
      while (derived.counters.devicesBehind > 0) await new Promise((resolve) => setImmediate(resolve));
      // Nothing is there that is not known.
      derived.uncertain(device.deviceId);
      while (derived.counters.devicesBehind > 0) await new Promise((resolve) => setImmediate(resolve));
      await derived.stop();
      const [minutes] = await rollups(store, device.deviceId);
      expect(Array.from(minutes!.count)).toEqual([isKnown ? 3 : 2]);
      expect(story(await alerts(device.deviceId))).toEqual(['firing@1', 'resolved@2']);
    });
  });
});
