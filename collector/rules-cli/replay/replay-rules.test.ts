import { systemScheduler } from '@tributary/core/clock/clock';
import { createLogger } from '@tributary/core/log/logger';
import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DerivedPipeline } from '../../rules/pipeline.js';
import { type Readings, readingsBatch, TestDevice } from '../../rules/test-device.js';
import { openMemory } from '../../store/sqlite/schema.js';
import { SqliteStore } from '../../store/sqlite/sqlite-store.js';
import { type Found, replayRules } from './replay-rules.js';

const RULES = parseRules(
  `rules:
  - { name: high, select: { name: temperature }, above: 7 }
  - { name: long, select: { name: temperature, device: a }, above: 5, clear: 3, for: 20s, keep_firing_for: 10s, gap: 30s }
  - { name: low, select: { name: temperature }, below: 2, for: 5s }
`,
  'rules.yaml',
);

/** Steps of time in seconds, some beyond the gap, with values. */
const readings = fc.array(fc.tuple(fc.constantFrom(1, 5, 10, 40), fc.constantFrom(0, 4, 6, 9, Number.NaN)), {
  minLength: 20,
  maxLength: 60,
});

function cut(steps: readonly (readonly [number, number])[], size: number): Readings[] {
  let second = 1000;
  const rows = steps.map(([step, value]) => {
    second += step;
    return [second, value] as const;
  });
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, at) => rows.slice(at * size, (at + 1) * size));
}

it('finds what the collector has found, and nothing else', async () => {
  let incidents = 0;
  await fc.assert(
    fc.asyncProperty(readings, readings, fc.integer({ min: 1, max: 9 }), async (one, other, size) => {
      const database = openMemory();
      const store = SqliteStore.openInMemory(database);
      const pipeline = new DerivedPipeline({
        store,
        rules: RULES,
        clock: { wallUs: () => 1e12 },
        scheduler: systemScheduler,
        logger: createLogger('t', 'silent'),
        wake: () => {},
      });
      await pipeline.start();
      for (const [name, steps] of [
        ['a', one],
        ['b', other],
      ] as const) {
        const device = await new TestDevice(store, name).register();
        pipeline.introduce(device.deviceId, device.name);
        for (const rows of cut(steps, size)) await device.commitAndFollow(pipeline, [device.item(readingsBatch(rows))]);
      }
      await pipeline.flush();
      const found: Found[] = [];
      const { rules } = await replayRules({
        store,
        rules: RULES.map(compileRule),
        fromUs: 0,
        untilUs: 1e12,
        leadUs: 0,
        devices: '*',
        isCompared: true,
        found: (incident) => {
          found.push(incident);
        },
        progress: () => {},
      });
      expect(found.map((each) => (each.kind === 'replayed' ? each.really : each.kind))).toEqual(
        found.map(() => 'same'),
      );
      incidents += found.length;
      // Each ends when it ended, or still fires.
      for (const each of found) {
        if (each.kind !== 'replayed') continue;
        const real = await store.findIncident(Uint8Array.from(Buffer.from(each.incident.id, 'hex')));
        expect([each.incident.startedUs, each.incident.firedUs, each.incident.endedUs]).toEqual([
          real?.startedAtUs,
          real?.firedAtUs,
          real?.resolvedAtUs,
        ]);
      }
      expect(rules.reduce((sum, { fired }) => sum + fired, 0)).toBe(found.length);
      await pipeline.stop();
      await store.close();
      database.close();
    }),
    { seed: 20260105, numRuns: 40 },
  );
  expect(incidents).toBeGreaterThan(100);
});
