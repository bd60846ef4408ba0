import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { systemClock, systemScheduler } from '@tributary/core/clock/clock';
import { parseRules } from '@tributary/core/rules/rule';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { Series } from '@tributary/proto/gen/tributary/v1/query';
import {
  DeferralReason,
  ItemKind,
  Lane,
  type LedgerEntry,
  LossReason,
  RejectionReason,
  ThinnedBatch,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { queryReadings } from '../query/readings.js';
import { rebuildRollups } from '../rollups/rebuild.js';
import { DerivedPipeline } from '../rules/pipeline.js';
import { registration } from '../store/conformance/data.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { ItemOutcome } from '../store/store.js';
import { CommitPump } from './commit-pump.js';
import { IngestCore } from './ingest-core.js';
import { Bench, batchBody, batchItem, EPOCH, item, NOW_US, Peer, registered, uploadHeader } from './ingest-fixture.js';
import { defaultIngestLimits } from './ingest-limits.js';

const entry: LedgerEntry = { epoch: EPOCH, first: 3, last: 4, readings: 4, bound: false, reason: LossReason.THINNED };

function thinnedItem(sequence: number, replaced: LedgerEntry[], values: number[], changes: Partial<Item> = {}): Item {
  const body = ThinnedBatch.encode({
    replaced,
    readings: values.length,
    batch: batchBody(values),
    kept: replaced.map((_, at) => (at === 0 ? values.length : 0)),
  }).finish();
  return item(sequence, body, { kind: ItemKind.THINNED_BATCH, readings: 0, ...changes });
}

const refused: { what: string; bad: Item; reason: RejectionReason; says: string }[] = [
  {
    what: 'that counts its readings again',
    bad: thinnedItem(9, [entry], [1, 2], { readings: 2 }),
    reason: RejectionReason.COUNT,
    says: 'readings: 2',
  },
  {
    what: 'that replaces nothing',
    bad: thinnedItem(9, [], [1, 2]),
    reason: RejectionReason.MALFORMED,
    says: 'replaced: empty',
  },
  {
    what: 'that replaces itself',
    bad: thinnedItem(9, [{ ...entry, last: 9 }], [1]),
    reason: RejectionReason.MALFORMED,
    says: 'below its own sequence 9',
  },
  {
    what: 'that names a sequence twice',
    bad: thinnedItem(9, [entry, { ...entry, first: 4, last: 6 }], [1]),
    reason: RejectionReason.MALFORMED,
    says: '4 is named twice',
  },
  {
    what: 'of two epochs',
    bad: thinnedItem(9, [entry, { ...entry, epoch: new Uint8Array(16) }], [1]),
    reason: RejectionReason.MALFORMED,
    says: 'one epoch',
  },
  {
    what: 'with a bound',
    bad: thinnedItem(9, [{ ...entry, bound: true }], [1]),
    reason: RejectionReason.MALFORMED,
    says: 'a bound',
  },
  {
    what: 'with another reason',
    bad: thinnedItem(9, [{ ...entry, reason: LossReason.EVICTED }], [1]),
    reason: RejectionReason.MALFORMED,
    says: 'reason 1',
  },
  {
    what: 'whose batch holds more than it says',
    bad: item(
      9,
      ThinnedBatch.encode({ replaced: [entry], readings: 1, batch: batchBody([1, 2]), kept: [1] }).finish(),
      {
        kind: ItemKind.THINNED_BATCH,
        readings: 0,
      },
    ),
    reason: RejectionReason.COUNT,
    says: 'its body has 2',
  },
  {
    what: 'whose ranges kept other counts than the batch holds',
    bad: item(
      9,
      ThinnedBatch.encode({ replaced: [entry], readings: 2, batch: batchBody([1, 2]), kept: [3] }).finish(),
      {
        kind: ItemKind.THINNED_BATCH,
        readings: 0,
      },
    ),
    reason: RejectionReason.COUNT,
    says: 'kept: 1 counts, 3 readings',
  },
  {
    what: 'that is no message',
    bad: item(9, new Uint8Array([0x0a, 0xff, 0xff]), { kind: ItemKind.THINNED_BATCH, readings: 0 }),
    reason: RejectionReason.MALFORMED,
    says: 'not a ThinnedBatch',
  },
];

describe('a thinned batch', () => {
  it.each(refused)('$what is rejected', ({ bad, reason, says }) => {
    const bench = new Bench();
    const { response } = bench.upload([batchItem(1), bad]);
    expect(response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(response?.rejected).toEqual([{ sequence: 9, reason, detail: expect.stringContaining(says) }]);
    expect(bench.core.inFlightBytes).toBe(0);
  });

  it('of an unknown series waits for a registration', () => {
    const bench = new Bench();
    const body = ThinnedBatch.encode({
      replaced: [entry],
      readings: 1,
      batch: batchBody([1], { seriesId: 77 }),
      kept: [1],
    });
    const { response } = bench.upload([item(9, body.finish(), { kind: ItemKind.THINNED_BATCH, readings: 0 })]);
    expect(response?.later[0]).toMatchObject({ reason: DeferralReason.REGISTER_AGAIN });
  });

  it('goes to the store with what it replaces, and is followed as history', () => {
    const bench = new Bench();
    expect(bench.upload([thinnedItem(9, [entry], [7, 8])]).response?.durable).toEqual([{ first: 9, last: 9 }]);
    const [stored] = bench.commits[0][0].items;
    expect(stored).toMatchObject({ entries: [{ first: 3, last: 4, readings: 4 }], kept: 2, lane: Lane.BACKFILL });
    expect(bench.followed).toMatchObject([{ sequence: 9, firstValue: 7 }]);
    expect(bench.core.counters).toMatchObject({ itemsStored: 1, readingsStored: 2 });
  });

  it('of whose originals one is stored is rejected, and its neighbours are stored', () => {
    const bench = new Bench();
    const superseded = thinnedItem(9, [entry], [7, 8]);
    bench.outcome = ({ sequence }) => (sequence === 9 ? ItemOutcome.Superseded : undefined);
    const { response } = bench.upload([batchItem(8), superseded, batchItem(10)]);
    expect(response?.durable).toEqual([
      { first: 8, last: 8 },
      { first: 10, last: 10 },
    ]);
    expect(response?.rejected).toMatchObject([{ sequence: 9, detail: expect.stringContaining('stored already') }]);
    expect(bench.followed.map(({ sequence }) => sequence)).toEqual([8, 10]);
    bench.outcome = undefined;
    expect(bench.upload([superseded]).response?.durable).toEqual([{ first: 9, last: 9 }]);
  });

  it('is in rollups, alerts and queries as its readings say, also after a rebuild', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tributary-thinned-'));
    const store = await SqliteStore.open({ path: join(folder, 'store.db') });
    onTestFinished(async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    });
    const logger = pino({ level: 'silent' });
    const rules = parseRules('rules: [{name: hot, select: {name: temperature}, above: 10, clear: 8}]', 'rules.yaml');
    const derived = new DerivedPipeline({
      store,
      rules,
      clock: systemClock,
      scheduler: systemScheduler,
      logger,
      wake: () => {},
    });
    await derived.start();
    const limits = defaultIngestLimits;
    const bug = (error: unknown) => expect(error).toBeUndefined();
    const observeSeconds = () => {};
    const pump = new CommitPump({ store, clock: systemClock, observeSeconds, bug, storeChanged: () => {} });
    const core = new IngestCore({ limits, random: () => 0.5, port: pump, follower: derived });
    pump.drive(core);
    const name = { tenant: '', device: 'pump' };
    const { series } = registered().epochs[0];
    const outcome = await store.register(
      registration('pump', {
        epochs: [{ epoch: EPOCH, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
        series: series.flatMap((one) => (one === undefined ? [] : [one.declaration])),
      }),
    );
    if (outcome.outcome !== 'registered') throw new Error(outcome.outcome);
    const { device } = outcome;
    derived.introduce(device.deviceId, name);
    core.registered(name, device);
    const upload = (items: readonly Item[]) =>
      new Promise<Peer['response']>((resolve) => {
        const peer = new Peer();
        peer.answer = resolve;
        const stream = core.open(name, peer, NOW_US);
        stream.message(encodeUploadMessage(uploadHeader({ fencingToken: device.fencingToken }), items), NOW_US);
        stream.halfClose(NOW_US);
      });
    const at = (sequence: number, value: number, readingsBefore: number) =>
      item(sequence, batchBody([value], { startUs: sequence * 60_000_000 }), { readings: 1, readingsBefore });
    const batch = batchBody([20, 30], { startUs: 2 * 60_000_000 });
    const body = ThinnedBatch.encode({
      replaced: [{ ...entry, first: 2, last: 2, readings: 8 }],
      readings: 2,
      batch,
      kept: [2],
    });
    const kept = item(4, body.finish(), { kind: ItemKind.THINNED_BATCH, readings: 0, readingsBefore: 12 });
    // What happens now first, then what was kept of the time in between.
    await upload([at(1, 1, 0), at(3, 2, 11)]);
    expect((await upload([kept]))?.durable).toEqual([{ first: 4, last: 4 }]);
    // What is acknowledged is followed a little later.
    while (!core.idle) await setImmediate();
    // What came late is judged by itself.
    await derived.settle();
    const [temperature] = (await store.listSeries(device.deviceId)).filter((one) => one.name === 'temperature');
    const rollups = () => store.readRollups(device.deviceId, temperature.seriesId, 60, -1e15, 9e15);
    const before = await rollups();
    expect([...before.count]).toEqual([1, 2, 1]);
    expect([...before.max]).toEqual([1, 30, 2]);
    const { alerts } = await store.listAlerts({ deviceId: device.deviceId, firingOnly: false }, 0, 10);
    expect(alerts.map(({ state, late }) => [state, late])).toEqual([
      [AlertState.FIRING, true],
      [AlertState.RESOLVED, true],
    ]);
    const asked: Series = { id: temperature.seriesId, device: 'pump', ...temperature };
    const query = {
      deviceId: device.deviceId,
      fromUs: 0,
      untilUs: 9e15,
      limit: 0,
      series: new Map([[asked.id, asked]]),
    };
    let readings = 0;
    for await (const page of queryReadings(store, query)) readings += page.offsets.length;
    expect(readings).toBe(4);
    await derived.stop();
    await rebuildRollups(store, logger);
    expect(await rollups()).toEqual(before);
    expect(await store.audit(undefined)).toMatchObject([
      { produced: 12, stored: 4, missing: 0, doubled: 0, declared: [{ reason: LossReason.THINNED, readings: 8 }] },
    ]);
  });
});
