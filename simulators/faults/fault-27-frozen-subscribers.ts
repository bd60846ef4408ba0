import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { Scene } from '../e2e/scene.js';
import { Child } from '../rig/child.js';
import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import { CheapDevices, compareAll } from './cheap-devices.js';
import type { Fault, FaultOutcome } from './fault.js';
import { KEEP_ALL } from './numbered-device.js';
import { residentBytes } from './process-figures.js';

const SUBSCRIBERS = 100;
const BATCHES = 20;
const SHORT_BATCHES = 4;

/** Longer than the 30 s after which a stream that nobody reads is ended. */
const FROZEN_MS = 45_000;
const FROZEN_SHORT_MS = 1000;

const GROWTH_BYTES_MAX = 50 * 1024 * 1024;
const RESUMED_MS = 120_000;

/** The series wanders about this level, and crosses it every few rows. JSON is YAML. */
const RULES = JSON.stringify({ rules: [{ name: 'stuffy', select: { name: 'co2-3' }, above: 751, clear: 749 }] });

const program = fileURLToPath(new URL('./alert-subscribers.js', import.meta.url));

interface Told {
  received: number;
  watching: number;
  outOfOrder: number;
  ended: number;
}

export const frozenSubscribers: Fault = {
  number: 27,
  title: '100 frozen alert subscribers',
  times: 1,
  shortTimes: 1,
  needs: ['linux'],
  run: async ({ isShort, log, patience }): Promise<FaultOutcome> => {
    const scene = await Scene.open('f27', (rig) => {
      writeFileSync(rig.path('rules.yaml'), RULES);
      return { ...KEEP_ALL, rules: rig.path('rules.yaml') };
    });
    let child: Child | undefined;
    try {
      const { rig, collectorPort, observer } = scene;
      const options = { devices: SUBSCRIBERS, batches: isShort ? SHORT_BATCHES : BATCHES, batchReadings: 1000 };
      const warm = await CheapDevices.prepare(rig, collectorPort, { ...options, name: 'warm' });
      const watched = await CheapDevices.prepare(rig, collectorPort, { ...options, name: 'watched' });
      await Promise.all([warm.register(), watched.register()]);
      let told: Told = { received: 0, watching: 0, outOfOrder: 0, ended: 0 };
      const failures: string[] = [];
      child = Child.start(
        'subscribers',
        [program, String(collectorPort), rig.path('pki'), ...watched.names],
        (line) => {
          told = line as unknown as Told;
        },
        (message) => failures.push(message),
      );
      await until('all subscribe', () => told.watching === SUBSCRIBERS);
      // The same load once before, so that what ingest takes is not taken for what subscribers cost.
      await warm.send();
      await alertsSettled(rig.path('collector.db'), 'warm-%');
      const { pid } = scene.collectorProcess;
      const before = residentBytes(pid);
      child.signal('SIGSTOP');
      await watched.send();
      const expected = await alertsSettled(rig.path('collector.db'), 'watched-%');
      let growth = 0;
      const endMs = performance.now() + (isShort ? FROZEN_SHORT_MS : FROZEN_MS);
      while (performance.now() < endMs) {
        growth = Math.max(growth, residentBytes(pid) - before);
        await pause(200);
      }
      child.signal('SIGCONT');
      log(`${expected} alerts while they were frozen, the collector grew by ${growth >> 10} KiB`);
      await until('no alert is missed', () => told.received >= expected, RESUMED_MS * patience);
      const problems = [...failures];
      if (expected < SUBSCRIBERS) problems.push(`only ${expected} alerts came; they show nothing`);
      if (told.received !== expected) problems.push(`${told.received} alerts were received, not ${expected}`);
      if (told.outOfOrder > 0) problems.push(`${told.outOfOrder} alerts came out of order`);
      if (growth > GROWTH_BYTES_MAX) problems.push(`the collector grew by ${growth >> 20} MiB; at most 50`);
      const figures = `${expected} alerts, collector +${(growth / 1048576).toFixed(1)} MiB, ${told.ended} streams ended and resumed`;
      const compared = await compareAll(observer, [warm, watched]);
      problems.push(...compared.problems);
      warm.close();
      watched.close();
      return { ...compared.counts, problems, figures };
    } finally {
      await child?.kill();
      await scene.close();
    }
  },
};

/** Waits until no more alerts are written for devices of a name, and answers how many are to be streamed. */
async function alertsSettled(path: string, like: string): Promise<number> {
  const db = new Database(path, { readonly: true });
  try {
    const sql = 'SELECT count(*) FROM alerts JOIN devices USING (device_id) WHERE device LIKE ? AND number > 0';
    const undigested = 'SELECT count(*) FROM devices WHERE derived_mark < position';
    await until('the rules have seen everything', () => db.prepare(undigested).pluck().get() === 0, RESUMED_MS);
    return db.prepare(sql).pluck().get(like) as number;
  } finally {
    db.close();
  }
}
