import { systemScheduler } from '@tributary/core/clock/clock';
import { createLogger } from '@tributary/core/log/logger';
import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DerivedPipeline } from '../../rules/pipeline.js';
import { readingsBatch, TestDevice } from '../../rules/test-device.js';
import { openMemory } from '../../store/sqlite/schema.js';
import { SqliteStore } from '../../store/sqlite/sqlite-store.js';
import { replayRules } from './replay-rules.js';

const RULES = parseRules(
  `rules:
  - { name: high, select: { name: temperature }, above: 7 }
  - { name: long, select: { name: temperature }, above: 5, clear: 3, for: 20s, keep_firing_for: 10s, gap: 30s }
  - { name: gone, select: { name: temperature }, absent: 35s }
  - { name: mean, select: { name: temperature }, window: { function: avg, over: 20s, every: 5s }, above: 6 }
  - { name: jump, select: { name: temperature }, delta: { over: 10s }, above: 5 }
  - { name: odd, select: { name: temperature }, deviation: { memory: 1m, warm_up: 1m, sensitivity: 2 } }
  - { name: any, any: [ { select: { name: temperature }, above: 7 }, { select: { name: temperature }, absent: 35s } ] }
`,
  'rules.yaml',
);

/** What becomes of an item. */
type Fate = 'live' | 'backfill' | 'lost';

const steps = fc.array(fc.tuple(fc.constantFrom(1, 5, 10, 40), fc.constantFrom(0, 4, 6, 9, Number.NaN)), {
  minLength: 20,
  maxLength: 60,
});
const fates = fc.array(fc.constantFrom<Fate>('live', 'live', 'live', 'backfill', 'lost'), {
  minLength: 60,
  maxLength: 60,
});

/** Commits items as their fates say, and lets the collector come to its conclusions; answers them, one a line. */
async function collectorStory(store: SqliteStore, rows: readonly (readonly [number, number])[], fate: readonly Fate[]) {
  const pipeline = new DerivedPipeline({
    store,
    rules: RULES,
    clock: { wallUs: () => 1e12 },
    scheduler: systemScheduler,
    logger: createLogger('t', 'silent'),
    wake: () => {},
  });
  await pipeline.start();
  const device = await new TestDevice(store, 'a').register();
  pipeline.introduce(device.deviceId, device.name);
  const items = rows.map((row) => device.item(readingsBatch([row])));
  const last = items.length - 1;
  // The first and the last come live: between them lies what this is about.
  const of = (kind: Fate) => items.filter((_, at) => (at === 0 || at === last ? 'live' : fate[at]) === kind);
  for (const item of of('live')) await device.commitAndFollow(pipeline, [item]);
  for (const item of of('backfill')) await device.commitAndFollow(pipeline, [{ ...item, lane: Lane.BACKFILL }]);
  // The newest instant of all is known, as far as a replay can know it.
  const untilUs = items[last]!.lastUs;
  pipeline.watermark({
    deviceId: device.deviceId,
    untilUs,
    epoch: device.epoch,
    readingsProduced: rows.length,
    nowUs: 1e12,
  });
  await pipeline.settle();
  const { incidents } = await store.readIncidents({ openOnly: false, withRetracted: false }, '', 500);
  await pipeline.stop();
  return incidents.map(({ alert, startedAtUs, resolvedAtUs }) => line(alert.rule, startedAtUs, resolvedAtUs));
}

async function replayStory(store: SqliteStore): Promise<string[]> {
  const story: string[] = [];
  await replayRules({
    store,
    rules: RULES.map(compileRule),
    fromUs: 0,
    untilUs: 1e12,
    leadUs: 0,
    devices: '*',
    isCompared: false,
    found: (found) => {
      if (found.kind !== 'replayed') return;
      story.push(line(found.incident.rule.name, found.incident.startedUs, found.incident.endedUs));
    },
    progress: () => {},
  });
  return story;
}

function line(rule: string, startedUs: number, endedUs: number | undefined): string {
  return `${rule} from ${startedUs / 1e6} to ${endedUs === undefined ? 'now' : endedUs / 1e6}`;
}

it('finds what the collector has come to in the end, in whatever order items came and whatever was lost', async () => {
  const found = new Set<string>();
  await fc.assert(
    fc.asyncProperty(steps, fates, async (parts, fate) => {
      const database = openMemory();
      const store = SqliteStore.openInMemory(database);
      let second = 1000;
      const rows = parts.map(([step, value]) => {
        second += step;
        return [second, value] as const;
      });
      const recorded = await collectorStory(store, rows, fate);
      expect((await replayStory(store)).sort()).toEqual(recorded.sort());
      for (const each of recorded) found.add(each.split(' ')[0]!);
      await store.close();
      database.close();
    }),
    { seed: 20260105, numRuns: 80 },
  );
  expect(found).toEqual(new Set(RULES.map(({ name }) => name)));
});
