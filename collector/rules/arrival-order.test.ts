import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scheduler } from '@tributary/core/clock/clock';
import { parseRules } from '@tributary/core/rules/rule';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { ItemKind, Lane, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import type { CheckedItem } from '../store/store.js';
import { DerivedPipeline } from './pipeline.js';
import { type MixedReadings, mixedBatch, TestDevice } from './test-device.js';

/*
 * Whatever way the items of a device come, the history of its incidents is the same in the end. A device's life is made at
 * random: several epochs, items that are lost and declared or not, items that were thinned. It comes once as it happened, in
 * one process, and once in any order, in any lanes, cut into any commits, over restarts with and without a save, and with
 * history judged at any moment. TRIBUTARY_ORDERS and TRIBUTARY_SEED make it more, and others.
 */

const RULES = `
rules:
  - {name: hot, select: {name: temperature}, above: 10, clear: 8}
  - {name: hot_for, select: {name: temperature}, above: 9, for: 20s, keep_firing_for: 10s, gap: 30s}
  - {name: beyond, select: {name: temperature}, outside: [2, 12]}
  - {name: door, select: {name: door}, equals: true, for: 5s}
  - {name: failed, select: {name: state}, equals: failed}
  - {name: rising, select: {name: temperature}, rate: {over: 20s, per: 1s}, above: 0.2, gap: 30s}
  - {name: jump, select: {name: temperature}, delta: {over: 30s}, above: 5}
  - {name: mean, select: {name: temperature}, window: {function: avg, over: 60s, every: 10s}, above: 7}
  - {name: few, select: {name: pressure}, window: {function: count, over: 30s, every: 10s}, below: 2}
  - {name: silent, select: {name: pressure}, absent: 40s}
  - name: both
    all: [{select: {name: temperature}, above: 8}, {select: {name: pressure}, below: 4}]
    gap: 60s
  - name: either
    any: [{select: {name: state}, equals: failed}, {select: {name: pressure}, above: 6}]
    for: 10s
  - {name: odd, select: {name: temperature}, deviation: {memory: 1m, sensitivity: 2}}
`;

const rules = parseRules(RULES, 'rules.yaml');
const logger = pino({ level: 'silent' });
const still: Scheduler = { nowMs: () => 0, setTimer: () => () => {} };
const START_SECOND = 1_000_000;
const SLOT_SECONDS = 20;
const EARLY_SECONDS = 8;

let folder: string;
let store: SqliteStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-order-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

interface Slot {
  readings: MixedReadings;
  fate: 'sent' | 'lost' | 'declared' | 'thinned';
  endsEpoch: boolean;
  /** Its readings overlap with those before: a source whose clock goes back, or is slow to tell. */
  isEarly: boolean;
}

/** Something that comes: an item of one of the device's epochs. */
interface Coming {
  epoch: number;
  item: CheckedItem;
}

const seconds = fc.uniqueArray(fc.integer({ min: 0, max: SLOT_SECONDS * 4 - 1 }), { minLength: 1, maxLength: 5 });
const column = <T>(value: fc.Arbitrary<T>) =>
  seconds.chain((quarters) =>
    fc.tuple(...quarters.sort((a, b) => a - b).map((quarter) => fc.tuple(fc.constant(quarter / 4), value))),
  ) as fc.Arbitrary<[number, T][]>;

const readingsOfSlot: fc.Arbitrary<MixedReadings> = fc.record(
  {
    temperature: column(fc.integer({ min: 0, max: 14 })),
    pressure: column(fc.integer({ min: 1, max: 8 })),
    state: column(fc.constantFrom('ok', 'failed', 'off')),
    door: column(fc.boolean()),
  },
  { requiredKeys: ['temperature'] },
);

const slot: fc.Arbitrary<Slot> = fc.record({
  readings: readingsOfSlot,
  fate: fc.oneof(
    { weight: 7, arbitrary: fc.constant('sent' as const) },
    { weight: 1, arbitrary: fc.constantFrom('lost' as const, 'declared' as const, 'thinned' as const) },
  ),
  endsEpoch: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
  isEarly: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
});

function moved({ readings, isEarly }: Slot, at: number): MixedReadings {
  const from = START_SECOND + at * SLOT_SECONDS - (isEarly ? EARLY_SECONDS : 0);
  return Object.fromEntries(
    Object.entries(readings).map(([name, rows]) => [
      name,
      rows.map(([second, value]: readonly [number, unknown]) => [from + second, value]),
    ]),
  );
}

/** What a device produces, in the order of its epochs. */
async function live(name: string, slots: readonly Slot[]): Promise<{ devices: TestDevice[]; coming: Coming[] }> {
  const devices = [await new TestDevice(store, name, 1).register()];
  const coming: Coming[] = [];
  let declared: CheckedItem[] = [];
  let thinned: CheckedItem[] = [];
  const settle = (epoch: number, device: TestDevice, batch: MixedReadings | undefined) => {
    if (declared.length > 0) {
      const entries = declared.map(({ sequence, readings }) => ({
        epoch: device.epoch,
        first: sequence,
        last: sequence,
        readings,
        bound: false,
        reason: LossReason.EVICTED,
      }));
      coming.push({ epoch, item: device.declaration(entries) });
      declared = [];
    }
    if (thinned.length > 0 && batch !== undefined) {
      coming.push({ epoch, item: device.thinned(mixedBatch(batch), thinned) });
    }
    thinned = [];
  };
  let kept: MixedReadings | undefined;
  for (const [at, one] of slots.entries()) {
    const { fate, endsEpoch } = one;
    const epoch = devices.length - 1;
    const device = devices[epoch]!;
    const rows = moved(one, at);
    const item = device.item(mixedBatch(rows));
    if (fate !== 'thinned') settle(epoch, device, kept);
    if (fate === 'sent') coming.push({ epoch, item });
    if (fate === 'declared') declared.push(item);
    if (fate === 'thinned') {
      thinned.push(item);
      kept = { temperature: rows.temperature!.slice(0, 1) };
    }
    if (endsEpoch && at < slots.length - 1) {
      settle(epoch, device, kept);
      devices.push(await new TestDevice(store, name, devices.length + 1).register());
    }
  }
  settle(devices.length - 1, devices.at(-1)!, kept);
  return { devices, coming };
}

function pipeline(): DerivedPipeline {
  const clock = { wallUs: () => 2e6 * START_SECOND };
  return new DerivedPipeline({ store, rules, clock, scheduler: still, logger, wake: () => {} });
}

/** Time passes to the end of everything. */
function end(derived: DerivedPipeline, devices: readonly TestDevice[], slots: number): void {
  const { deviceId, epoch, readingsProduced } = devices.at(-1)!;
  const untilUs = (START_SECOND + (slots + 10) * SLOT_SECONDS) * 1e6;
  derived.watermark({ deviceId, untilUs, epoch, readingsProduced, nowUs: 2e6 * START_SECOND });
}

async function history(deviceId: number): Promise<string[]> {
  const lines: string[] = [];
  let after = '';
  do {
    const filter = { deviceId, openOnly: false, withRetracted: false };
    const { incidents, next } = await store.readIncidents(filter, after, 500);
    for (const { alert, startedAtUs, firedAtUs, resolvedAtUs } of incidents) {
      const time = (us: number | undefined) => (us === undefined ? '' : us / 1e6 - START_SECOND);
      lines.push(`${alert.rule} ${alert.seriesName} ${time(startedAtUs)} ${time(firedAtUs)} ${time(resolvedAtUs)}`);
    }
    after = next;
  } while (after !== '');
  return lines.sort();
}

/** What was told on the way: each once, nothing that backfill decided, and the end of everything that has ended. */
async function checkTold(deviceId: number, coming: readonly Coming[], lanes: ReadonlyMap<CheckedItem, Lane>) {
  const told = await store.readAlerts(deviceId, 0, 10_000);
  const keys = told.map(({ incidentId, state }) => `${Buffer.from(incidentId).toString('hex')} ${state}`);
  expect(new Set(keys).size).toBe(keys.length);
  const { incidents } = await store.readIncidents({ deviceId, openOnly: false, withRetracted: true }, '', 5000);
  for (const { incidentId, resolvedAtUs, alert } of incidents) {
    const id = Buffer.from(incidentId).toString('hex');
    if (!keys.includes(`${id} ${AlertState.FIRING}`) || resolvedAtUs === undefined) continue;
    expect(keys, `the end of ${alert.rule}`).toContain(`${id} ${AlertState.RESOLVED}`);
  }
  const byReadings = new Set(['hot', 'hot_for', 'beyond', 'door', 'failed', 'rising', 'jump', 'odd']);
  for (const { rule, state, transitionAtUs } of told) {
    if (state !== AlertState.FIRING || !byReadings.has(rule)) continue;
    const deciding = coming.filter(({ item }) => item.firstUs <= transitionAtUs && transitionAtUs <= item.lastUs);
    expect(deciding.length).toBeGreaterThan(0);
    expect(
      deciding.some(({ item }) => lanes.get(item) === Lane.LIVE),
      `${rule} at ${transitionAtUs}`,
    ).toBe(true);
  }
}

interface Step {
  backfill: boolean;
  restart: 'no' | 'saved' | 'killed';
  settles: boolean;
  cut: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  backfill: fc.boolean(),
  restart: fc.oneof(
    { weight: 8, arbitrary: fc.constant('no' as const) },
    { weight: 1, arbitrary: fc.constantFrom('saved' as const, 'killed' as const) },
  ),
  settles: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
  cut: fc.boolean(),
});

describe('the history of incidents', () => {
  it('is the same for every order in which the items of a device come', async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(slot, { minLength: 3, maxLength: 24 }),
        fc.array(step, { minLength: 30, maxLength: 30 }),
        fc.infiniteStream(fc.nat()),
        fc.constantFrom('any', 'lanes', 'order'),
        async (slots, steps, dice, kind) => {
          round += 1;
          store = await SqliteStore.open({ path: join(folder, `${round}.db`) });
          const calm = await live(`calm-${round}`, slots);
          const one = pipeline();
          await one.start();
          for (const [at, { epoch, item }] of calm.coming.entries()) {
            const device = calm.devices[epoch]!;
            await device.commitAndFollow(one, [item]);
            const { deviceId, epoch: bytes } = device;
            // Where the last is lost nobody can say at the end how far time has passed: then it does not pass at all.
            if (slots.at(-1)!.fate === 'sent' && item.kind === ItemKind.BATCH && at % 3 === 0) {
              const readingsProduced = item.readingsBefore + item.readings;
              one.watermark({
                deviceId,
                untilUs: item.lastUs,
                epoch: bytes,
                readingsProduced,
                nowUs: 2e6 * START_SECOND,
              });
            }
          }
          await one.settle();
          end(one, calm.devices, slots.length);
          await one.stop();
          const calmId = calm.devices[0]!.deviceId;
          const expected = await history(calmId);

          const shaken = await live(`shaken-${round}`, slots);
          const order = arrange(shaken.coming, kind, steps, dice);
          const lanes = new Map<CheckedItem, Lane>();
          let many = pipeline();
          await many.start();
          for (let at = 0; at < order.length; ) {
            const { backfill, restart, settles, cut } = steps[at % steps.length]!;
            const { epoch } = order[at]!;
            const together = [order[at]!];
            while (cut && at + together.length < order.length && together.length < 4) {
              const next = order[at + together.length]!;
              if (next.epoch !== epoch || next.item.sequence <= together.at(-1)!.item.sequence) break;
              together.push(next);
            }
            at += together.length;
            const lane = backfill ? Lane.BACKFILL : Lane.LIVE;
            const items = together.map(({ item }) => {
              const sent = { ...item, lane: item.kind === ItemKind.THINNED_BATCH ? Lane.BACKFILL : lane };
              lanes.set(item, sent.lane);
              return sent;
            });
            await shaken.devices[epoch]!.commitAndFollow(many, items);
            if (settles) await many.settle();
            if (restart === 'no') continue;
            if (restart === 'saved') await many.stop();
            many = pipeline();
            await many.start();
          }
          await many.settle();
          end(many, shaken.devices, slots.length);
          await many.stop();
          expect(await history(shaken.devices[0]!.deviceId)).toEqual(expected);
          await checkTold(shaken.devices[0]!.deviceId, shaken.coming, lanes);
          await store.close();
        },
      ),
      { seed: Number(process.env.TRIBUTARY_SEED ?? 20261126), numRuns: Number(process.env.TRIBUTARY_ORDERS ?? 40) },
    );
  }, 600_000);
});

/** An order: any at all, the two lanes each in order, or as it was made. */
function arrange(coming: readonly Coming[], kind: string, steps: readonly Step[], dice: fc.Stream<number>): Coming[] {
  if (kind === 'order') return [...coming];
  if (kind === 'any') {
    return coming
      .map((one): [number, Coming] => [dice.next().value as number, one])
      .sort(([a], [b]) => a - b)
      .map(([, one]) => one);
  }
  const lanes: [Coming[], Coming[]] = [[], []];
  for (const [at, one] of coming.entries()) lanes[steps[at % steps.length]!.backfill ? 1 : 0].push(one);
  const order: Coming[] = [];
  while (lanes[0].length + lanes[1].length > 0) {
    const lane = lanes[(dice.next().value as number) % 2]!;
    const next = lane.shift() ?? lanes[lane === lanes[0] ? 1 : 0].shift();
    order.push(next!);
  }
  return order;
}
