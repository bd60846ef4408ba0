import { writeFileSync } from 'node:fs';
import { compareWorkload } from '@tributary/simulators/fleet/compare-workload';
import { Fleet } from '@tributary/simulators/fleet/fleet';
import type { WorkloadOptions } from '@tributary/simulators/fleet/workload';
import { freePort, readMetrics } from '@tributary/simulators/rig/collector-metrics';
import { Observer } from '@tributary/simulators/rig/observer';
import { Rig } from '@tributary/simulators/rig/rig';
import { until } from '@tributary/simulators/rig/until';
import { readProcessUsage } from '../process-usage.js';
import { weighStore } from '../store-size.js';
import { type Figures, numberOption, type Trial } from '../trial.js';

/** Enough that group commits have somebody to group. */
const DEVICES_DEFAULT = 8;
const SERIES = 10;

/** A batch holds what the default age of a second gathers, so a thousand readings are ten sensors polled each 10 ms. */
const BATCH_AGE_MS = 1000;

/** Watches every temperature of every device, and fires where a simulated room gets warm. */
const WARM = { name: 'warm', select: { name: 'temperature-*' }, above: 24, clear: 23.5, for: '1m' };

/**
 * A set of rules as plants have them: one that watches the whole fleet, and others each of which is for one machine. Of those
 * one in ten finds what it watches among the devices of the trial.
 */
function rulesOf(count: number, devices: number): object[] {
  const special = Array.from({ length: count - 1 }, (_, at) => {
    const isHere = at % 10 === 0;
    const select = isHere
      ? { name: `*-${at % SERIES}`, device: `load-${at % devices}` }
      : { name: `pressure-${at}`, device: `press-${at}` };
    return { name: `special-${at}`, select, above: 1000, for: '1m' };
  });
  return [WARM, ...special];
}

/** Enough for a second or more of work at the collector, which the kernel counts in steps of 10 ms. */
const READINGS_DEFAULT = 10_000_000;

/** What is sent before it is measured, of all that is: a collector that runs for months has long been compiled. */
const WARM_UP_SHARE = 0.2;

/** Rollups are saved five seconds after the commit at the latest. */
const SETTLE_MS_MAX = 60_000;

/** A whole collector under full load: what a reading costs it in processor time, and what it weighs at rest. */
export const trial: Trial = {
  options: {
    batch: 'readings in a batch, default 1000',
    readings: 'readings in all, default 10 million',
    interval: 'milliseconds between two rows, default what makes a batch a second long',
    devices: 'devices that send at the same time, default 8',
    stream: 'batches in an upload stream, default what the limits allow: a backlog; 1 is a device that keeps up',
    rules: 'rules, default 1; more of them watch one machine each',
    'cpu-profile': 'folder for a processor profile of the collector',
  },
  async run(options): Promise<Figures> {
    const batch = numberOption(options, 'batch', 1000, SERIES);
    const asked = numberOption(options, 'readings', READINGS_DEFAULT);
    const intervalMs = numberOption(options, 'interval', (BATCH_AGE_MS * SERIES) / batch, 0.001);
    const devices = numberOption(options, 'devices', DEVICES_DEFAULT);
    const streamItems = numberOption(options, 'stream', Number.POSITIVE_INFINITY);
    const ruleCount = numberOption(options, 'rules', 1, 1);
    const profile = options['cpu-profile'];
    const batches = Math.max(1, Math.round(asked / batch / devices));
    const rig = await Rig.create('ingest');
    try {
      const rules = rig.path('rules.yaml');
      writeFileSync(rules, JSON.stringify({ rules: rulesOf(ruleCount, devices) }));
      const healthPort = await freePort();
      const health = { listen: `127.0.0.1:${healthPort}` };
      const nodeArgs = typeof profile === 'string' ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [];
      const { child, port } = await rig.collector(
        { rules, health, retention: { readings: 'forever' } },
        {},
        0,
        nodeArgs,
      );
      const load: Load = { rig, port, healthPort, devices, batch, batches, intervalUs: intervalMs * 1000, streamItems };

      const warmUp = Math.ceil(batches * WARM_UP_SHARE);
      await send({ ...load, batches: warmUp }, 'warm');
      const before = readProcessUsage(child.pid).cpuSeconds;
      const { readings, items } = await send(load, 'load');
      const collectorSeconds = readProcessUsage(child.pid).cpuSeconds - before;

      const verified = await verify(load, readings + warmUp * batch * devices);
      if ((await child.stop()) !== 0) throw new Error('the collector did not stop in order');
      const { bytesAtRest, rollupBytes, compactionCpuSeconds } = await weighStore(rig.path('collector.db'));
      const stored = readings + warmUp * batch * devices;
      const coreSeconds = collectorSeconds + (compactionCpuSeconds * readings) / stored;
      return {
        readings,
        batch,
        rules: ruleCount,
        readingsPerCoreSecond: Math.round(readings / coreSeconds),
        batchesPerCoreSecond: Math.round(items / coreSeconds),
        bytesAtRestPerReading: rounded(bytesAtRest / stored),
        rollupBytesPerReading: rounded(rollupBytes / stored),
        verified,
      };
    } finally {
      await rig.close();
    }
  },
};

interface Load {
  rig: Rig;
  port: number;
  healthPort: number;
  devices: number;
  batch: number;
  /** Of each device. */
  batches: number;
  /** Between two rows. */
  intervalUs: number;
  /** Batches in one upload stream at the most. */
  streamItems: number;
}

function workload({ batch, batches, intervalUs }: Load): Omit<WorkloadOptions, 'seed' | 'epoch'> {
  const rows = (batches * batch) / SERIES;
  // It ends an hour ago, so that nothing lies in the future.
  const startUs = START_US - Math.ceil(rows * intervalUs);
  return { batchReadings: batch, batches, series: SERIES, intervalUs, startUs };
}

const START_US = (Math.floor(Date.now() / 1000) - 3600) * 1e6;

/** Sends everything, and waits until nothing that follows from it is left to do. */
async function send(load: Load, prefix: string): Promise<{ readings: number; items: number }> {
  const materials = await Promise.all(
    Array.from({ length: load.devices }, (_, at) => load.rig.device(`${prefix}-${at}`)),
  );
  const { port, streamItems } = load;
  const fleet = new Fleet({ address: `127.0.0.1:${port}`, materials, streamItems, ...workload(load) });
  try {
    await fleet.register();
    const { readings, items, rejectedItems, forkedItems } = await fleet.run();
    if (rejectedItems + forkedItems > 0) throw new Error(`${rejectedItems + forkedItems} items were refused`);
    await settled(load.healthPort);
    return { readings, items };
  } finally {
    fleet.close();
  }
}

/** Resolves when rollups, rules and alerts have caught up. */
async function settled(healthPort: number): Promise<void> {
  await until(
    'rollups and alerts have caught up',
    async () => {
      const waiting = await readMetrics(healthPort, ['rollup_rows_waiting', 'devices_behind', 'alerts_waiting']);
      return Object.values(waiting).every((one) => one === 0);
    },
    SETTLE_MS_MAX,
  );
}

/** The ledger of all devices adds up, and one device's readings come back bit for bit and are all in its rollups. */
async function verify(load: Load, expected: number): Promise<boolean> {
  const observer = new Observer(load.port, load.rig.operatorFiles);
  try {
    const audits = await observer.audit();
    const stored = audits.reduce((sum, epoch) => sum + epoch.stored, 0);
    const clean = audits.every(
      ({ produced, stored, missing, doubled, declared }) =>
        produced === stored && missing === 0 && doubled === 0 && declared.length === 0,
    );
    if (!clean || stored !== expected) return false;
    const options = { ...workload(load), seed: 0, epoch: new Uint8Array(16) };
    const { stored: same, duplicates, altered } = compareWorkload(options, await observer.readings('load-0'));
    const perDevice = load.batch * load.batches;
    if (same !== perDevice || duplicates !== 0 || altered !== 0) return false;
    return (await observer.readingsInRollups('load-0')) === perDevice;
  } finally {
    observer.close();
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
