import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRules } from '@tributary/core/rules/rule';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { Lane, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { mixedBatch, type Readings, readingsBatch, TestDevice } from './test-device.js';
import { incidentsOf, TestTime, testPipeline, toldTo } from './test-pipeline.js';

const hot = 'rules: [{name: hot, select: {name: temperature}, above: 10, clear: 8}]';
const backfill = { lane: Lane.BACKFILL };

let folder: string;
let store: SqliteStore;
let device: TestDevice;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-history-'));
  store = await SqliteStore.open({ path: join(folder, 'store.db') });
  device = await new TestDevice(store, 'kiln').register();
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const batch = (...readings: Readings) => readingsBatch(readings);

describe('history that comes late', () => {
  it('moves the beginning of what was told back, and tells nobody', async () => {
    const derived = testPipeline(store, hot);
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 5]))]);
    const missed = device.item(batch([10, 12], [20, 13]), backfill);
    await device.commitAndFollow(derived, [device.item(batch([30, 12]))]);
    await derived.flush();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 30.. told']);
    await device.commitAndFollow(derived, [missed]);
    await derived.settle();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 10.. told']);
    expect(await toldTo(store, device.deviceId)).toEqual(['firing hot 30']);
    await device.commitAndFollow(derived, [device.item(batch([40, 5]))]);
    await derived.stop();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 10..40 told']);
    expect(await toldTo(store, device.deviceId)).toEqual(['firing hot 30', 'resolved hot 40']);
  });

  it('takes back what was told and is not true, and says so', async () => {
    const rules = 'rules: [{name: silent, select: {name: pressure}, absent: 30s}]';
    const derived = testPipeline(store, rules);
    await derived.start();
    await device.commitAndFollow(derived, [device.item(mixedBatch({ pressure: [[0, 1]] }))]);
    const readings = mixedBatch({ pressure: [[20, 1]], temperature: [[21, 1]] });
    const late = device.item(readings, backfill);
    await device.commitAndFollow(derived, [device.item(mixedBatch({ temperature: [[60, 1]] }))]);
    const { deviceId, epoch } = device;
    const nowUs = 1e15;
    derived.watermark({ deviceId, untilUs: 100e6, epoch, readingsProduced: 4, nowUs });
    await derived.flush();
    // From the hole's right edge on the sensor has been silent.
    expect(await toldTo(store, deviceId)).toEqual(['firing silent 90']);
    await device.commitAndFollow(derived, [late]);
    await derived.settle();
    // It was silent for longer: from second 20 on.
    expect(await incidentsOf(store, deviceId)).toEqual(['silent 20.. fired 50 told']);
    await derived.stop();
  });

  it('ends an incident that was told of and had ended in the hole, and begins another one of which it tells', async () => {
    const derived = testPipeline(store, hot);
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 12]))]);
    const missed = device.item(batch([10, 5], [20, 12]), backfill);
    await device.commitAndFollow(derived, [device.item(batch([30, 12]))]);
    await device.commitAndFollow(derived, [missed]);
    await derived.settle();
    expect(await toldTo(store, device.deviceId)).toEqual(['firing hot 0', 'resolved hot 10']);
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 0..10 told', 'hot 20..']);
    await device.commitAndFollow(derived, [device.item(batch([40, 12]))]);
    await derived.flush();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 0..10 told', 'hot 20.. told']);
    expect((await toldTo(store, device.deviceId)).at(-1)).toBe('firing hot 40');
    await derived.stop();
  });

  it('retracts what late readings show to be none, and tells its end to whoever was told', async () => {
    const rules =
      'rules: [{name: mean, select: {name: temperature}, window: {function: avg, over: 10s, every: 10s}, above: 10}]';
    const derived = testPipeline(store, rules);
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 0], [1, 0]))]);
    await device.commitAndFollow(derived, [device.item(batch([11, 20], [25, 20]))]);
    await derived.flush();
    expect(await toldTo(store, device.deviceId)).toEqual(['firing mean 20']);
    // Of another clock, without a hole.
    await device.commitAndFollow(derived, [device.item(batch([15, -90], [16, -90]))]);
    await derived.settle();
    expect(await incidentsOf(store, device.deviceId, true)).toEqual(['mean 20..20 told retracted']);
    expect(await toldTo(store, device.deviceId)).toEqual(['firing mean 20', 'resolved mean 20 retracted']);
    await derived.stop();
  });

  it('is judged when the hole is full, at once, and when nothing more comes of it, after a while', async () => {
    const time = new TestTime();
    const derived = testPipeline(store, hot, { scheduler: time });
    await derived.start();
    const passes = () => derived.counters.historyPasses;
    const until = async (count: number) => {
      while (passes() < count || derived.counters.devicesBehind > 0) await new Promise((done) => setImmediate(done));
    };
    await device.commitAndFollow(derived, [device.item(batch([0, 5]))]);
    const missed = [batch([10, 12]), batch([20, 5])].map((one) => device.item(one, backfill));
    await device.commitAndFollow(derived, [device.item(batch([30, 5]))]);
    await time.pass(60_000);
    await device.commitAndFollow(derived, [missed[0]!]);
    await time.pass(60_000);
    expect([passes(), derived.counters.devicesDirty]).toEqual([0, 1]);
    await device.commitAndFollow(derived, [missed[1]!]);
    await time.pass(5000);
    await until(1);
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 10..20']);
    device.item(batch([40, 12]));
    await device.commitAndFollow(derived, [device.item(batch([50, 5]))]);
    await time.pass(9 * 60_000);
    expect([passes(), derived.counters.devicesDirty]).toEqual([1, 1]);
    await time.pass(2 * 60_000);
    await until(2);
    expect(derived.counters.devicesDirty).toBe(0);
    await derived.stop();
  });

  it('is judged as it stands when the rest was declared lost', async () => {
    const time = new TestTime();
    const derived = testPipeline(store, hot, { scheduler: time });
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 5]))]);
    const missed = device.item(batch([10, 12]), backfill);
    const lost = device.item(batch([20, 5]));
    await device.commitAndFollow(derived, [device.item(batch([30, 5]))]);
    await device.commitAndFollow(derived, [missed]);
    const { sequence, readings } = lost;
    const entry = { epoch: device.epoch, first: sequence, last: sequence, readings, bound: false };
    await device.commitAndFollow(derived, [device.declaration([{ ...entry, reason: LossReason.EVICTED }])]);
    await time.pass(5000);
    while (derived.counters.devicesDirty > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 10..30']);
    await derived.stop();
  });

  it('counts no time for a rule in which readings are missing', async () => {
    const rules = 'rules: [{name: long, select: {name: temperature}, above: 10, for: 30s}]';
    const derived = testPipeline(store, rules, { clock: { wallUs: () => 46e6 } });
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 12], [10, 12]))]);
    device.item(batch([20, 5]));
    await device.commitAndFollow(derived, [device.item(batch([30, 12], [45, 12]))]);
    await derived.settle();
    expect(await incidentsOf(store, device.deviceId)).toEqual([]);
    expect(derived.ruleStates(device.deviceId)).toMatchObject([
      { rule: 'long', state: 'pending', sinceUs: 0, lastUs: 45e6 },
    ]);
    await device.commitAndFollow(derived, [device.item(batch([50, 12]))]);
    await derived.stop();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['long 0.. fired 50 told']);
  });

  it('is judged from the last checkpoint, also after a restart', async () => {
    const first = testPipeline(store, hot);
    await first.start();
    const day = 86_400;
    for (let hour = 0; hour < 48; hour += 1) {
      await device.commitAndFollow(first, [
        device.item(batch([hour * 3600, 5], [hour * 3600 + 1800, hour === 3 ? 12 : 5])),
      ]);
      await first.flush();
    }
    await first.stop();
    const second = testPipeline(store, hot);
    await second.start();
    let read = 0;
    const readRange = store.readRange.bind(store);
    store.readRange = async (range, after, bytes) => {
      const page = await readRange(range, after, bytes);
      read += page.items.reduce((sum, { items }) => sum + items.length, 0);
      return page;
    };
    await device.commitAndFollow(second, [device.item(batch([2 * day - 5000, 12]))]);
    await second.settle();
    expect(read).toBeLessThan(14);
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 12600..14400 told', 'hot 167800..169200']);
    await second.stop();
  });
});

describe('a process that ends before it has saved', () => {
  it('leaves nobody with an alert that nothing would end', async () => {
    const rules = 'rules: [{name: silent, select: {name: pressure}, absent: 30s}]';
    const first = testPipeline(store, rules);
    await first.start();
    const { deviceId, epoch } = device;
    await device.commitAndFollow(first, [device.item(mixedBatch({ pressure: [[0, 1]] }))]);
    first.watermark({ deviceId, untilUs: 50e6, epoch, readingsProduced: 1, nowUs: 1e15 });
    while ((await toldTo(store, deviceId)).length === 0) await new Promise((done) => setImmediate(done));
    // Here it ends. The watermark is known to nobody any more, and what came meanwhile is lost.
    device.item(mixedBatch({ pressure: [[20, 1]] }));
    const second = testPipeline(store, rules);
    await second.start();
    await device.commitAndFollow(second, [device.item(mixedBatch({ pressure: [[60, 1]] }))]);
    await second.settle();
    await second.stop();
    expect(await incidentsOf(store, deviceId)).toEqual([]);
    expect(await toldTo(store, deviceId)).toEqual(['firing silent 30', 'resolved silent 30 retracted']);
  });
});

describe('other rules', () => {
  it('end what runs at the newest reading, also of a series that nothing watches any more', async () => {
    const derived = testPipeline(store, 'rules: [{name: hot, select: {name: temperature}, above: 10}]');
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 12])), device.item(batch([40, 13]))]);
    derived.replaceRules([]);
    await derived.flush();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 0..40 told']);
    await derived.stop();
  });

  it('leave an unchanged rule as it was, end what others have begun, and begin with what comes', async () => {
    const derived = testPipeline(
      store,
      `rules:
        - {name: hot, select: {name: temperature}, above: 10}
        - {name: warm, select: {name: temperature}, above: 5}
        - {name: mild, select: {name: temperature}, above: 3}`,
    );
    await derived.start();
    await device.commitAndFollow(derived, [device.item(batch([0, 12]))]);
    derived.replaceRules(
      parseRules(
        `rules:
        - {name: hot, select: {name: temperature}, above: 10}
        - {name: warm, select: {name: temperature}, above: 6}
        - {name: cold, select: {name: temperature}, below: 20}`,
        'rules.yaml',
      ),
    );
    await derived.flush();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 0.. told', 'mild 0..0 told', 'warm 0..0 told']);
    const ended = (await store.readAlerts(device.deviceId, 0, 10)).filter(({ state }) => state === AlertState.RESOLVED);
    expect(ended.map(({ rule, annotations }) => [rule, annotations.reason]).sort()).toEqual([
      ['mild', 'the rule was removed'],
      ['warm', 'the rule was changed'],
    ]);
    await device.commitAndFollow(derived, [device.item(batch([10, 12]))]);
    await derived.stop();
    const expected = ['hot 0.. told', 'mild 0..0 told', 'warm 0..0 told', 'cold 10.. told', 'warm 10.. told'];
    expect(await incidentsOf(store, device.deviceId)).toEqual(expected);
    // A restart ends nothing twice, and a pass through history asks nothing of before the rules were there.
    const next = testPipeline(
      store,
      `rules:
        - {name: hot, select: {name: temperature}, above: 10}
        - {name: warm, select: {name: temperature}, above: 6}
        - {name: cold, select: {name: temperature}, below: 20}`,
    );
    await next.start();
    await device.commitAndFollow(next, [device.item(batch([-5, 4]))]);
    await next.settle();
    await next.stop();
    expect(await incidentsOf(store, device.deviceId)).toEqual(expected);
    expect((await toldTo(store, device.deviceId)).length).toBe(7);
  });
});

describe('two collectors over one store', () => {
  it('digest the first commit of a device that the other did not live to digest, though nothing is stored at first', async () => {
    const rules = 'rules: [{name: hot, select: {name: temperature}, above: 10, for: 20s}]';
    const [dying, other] = [0, 1].map(() => testPipeline(store, rules));
    await dying!.start();
    await other!.start();
    // Neither knew it when it started.
    const late = await new TestDevice(store, 'late').register();
    dying!.introduce(late.deviceId, late.name);
    await late.commitAndFollow(dying!, [late.item(batch([0, 12]))]);
    // The device comes to the other one, and has nothing to send: the answer still has the position of its only commit.
    other!.introduce(late.deviceId, late.name);
    other!.committed(late.deviceId, 1);
    await late.commitAndFollow(other!, [late.item(batch([10, 12], [20, 12]))]);
    await other!.settle();
    await other!.stop();
    expect(await incidentsOf(store, late.deviceId)).toEqual(['hot 0.. fired 20 told']);
    const [series] = await store.listSeries(late.deviceId);
    const minutes = await store.readRollups(late.deviceId, series!.seriesId, 60, 0, 1e9);
    expect(Array.from(minutes.count)).toEqual([3]);
  });

  it('each take up what the other has digested, and double nothing', async () => {
    const rules = 'rules: [{name: hot, select: {name: temperature}, above: 10, for: 20s}]';
    const one = testPipeline(store, rules);
    const other = testPipeline(store, rules);
    await one.start();
    await other.start();
    const settle = async (...pipelines: (typeof one)[]) => {
      for (const each of pipelines) while (each.counters.devicesBehind > 0) await new Promise((r) => setImmediate(r));
    };
    await device.commitAndFollow(one, [device.item(batch([0, 12]))]);
    await device.commitAndFollow(one, [device.item(batch([10, 12]))]);
    // The device comes back by the other collector before the first has saved anything.
    await device.commitAndFollow(other, [device.item(batch([20, 12]))]);
    await settle(other);
    await other.flush();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 0.. fired 20 told']);
    // The first wants to save what the other has saved already.
    await one.flush();
    expect(one.counters.devicesLost).toBe(1);
    await settle(one);
    await device.commitAndFollow(one, [device.item(batch([30, 5]))]);
    await settle(one);
    await one.flush();
    await device.commitAndFollow(other, [device.item(batch([40, 12], [60, 12]))]);
    await settle(other);
    await other.flush();
    await one.stop();
    await other.stop();
    expect(await incidentsOf(store, device.deviceId)).toEqual(['hot 0..30 fired 20 told', 'hot 40.. fired 60 told']);
    expect(await toldTo(store, device.deviceId)).toEqual(['firing hot 20', 'resolved hot 30', 'firing hot 60']);
    const [series] = (await store.listSeries(device.deviceId)).filter(({ name }) => name === 'temperature');
    const minutes = await store.readRollups(device.deviceId, series!.seriesId, 60, 0, 1e9);
    expect(Array.from(minutes.count)).toEqual([5, 1]);
    expect(await store.undigested()).toEqual([]);
  });
});

describe('a device that is silent', () => {
  /** Before it is told the store is asked whether another collector has heard of the device. */
  const told = async (of: TestDevice, derived: { flush: () => Promise<void> }, count: number) => {
    for (;;) {
      await derived.flush();
      const all = await toldTo(store, of.deviceId);
      if (all.length >= count) return all;
    }
  };
  const rules = 'rules: [{name: gone, absent: {for: 60s, of: device}}]';

  it('is told as absent by the clock of the collector, until it is heard of', async () => {
    const time = new TestTime();
    const clock = { wallUs: () => 1e12 + time.ms * 1000 };
    const derived = testPipeline(store, rules, { scheduler: time, clock });
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    await time.pass(50_000);
    derived.heard(device.deviceId);
    await time.pass(50_000);
    await derived.flush();
    expect(await toldTo(store, device.deviceId)).toEqual([]);
    await time.pass(20_000);
    expect(await told(device, derived, 1)).toEqual(['firing gone 1000110']);
    derived.heard(device.deviceId);
    await derived.flush();
    expect((await toldTo(store, device.deviceId)).at(-1)).toBe('resolved gone 1000120');
    await derived.stop();
  });

  it('has the full time again after a collector starts, and stays absent if it was', async () => {
    const time = new TestTime();
    const clock = { wallUs: () => 1e12 + time.ms * 1000 };
    const silent = await new TestDevice(store, 'silent').register();
    const first = testPipeline(store, rules, { scheduler: time, clock });
    await first.start();
    await time.pass(50_000);
    first.heard(device.deviceId);
    await time.pass(20_000);
    expect(await told(silent, first, 1)).toEqual(['firing gone 1000060']);
    await first.stop();
    time.ms += 3_600_000;
    const second = testPipeline(store, rules, { scheduler: time, clock });
    await second.start();
    await time.pass(59_000);
    await second.flush();
    expect(await toldTo(store, device.deviceId)).toEqual([]);
    await time.pass(2000);
    expect(await told(device, second, 1)).toEqual(['firing gone 1003730']);
    await second.stop();
    expect(await toldTo(store, silent.deviceId)).toEqual(['firing gone 1000060']);
  });
  it('is not absent while another collector hears it', async () => {
    const time = new TestTime();
    const clock = { wallUs: () => 1e12 + time.ms * 1000 };
    const [one, other] = [0, 1].map(() => testPipeline(store, rules, { scheduler: time, clock }));
    await one!.start();
    await other!.start();
    for (let turn = 0; turn < 6; turn += 1) {
      await time.pass(30_000);
      await device.commitAndFollow(other!, [device.item(batch([turn, 1]))], clock.wallUs());
    }
    await one!.flush();
    await other!.stop();
    await one!.stop();
    expect(await toldTo(store, device.deviceId)).toEqual([]);
  });
});
