import { Scene } from '../e2e/scene.js';
import { pause } from '../rig/pause.js';
import { CheapDevices, compareAll, live } from './cheap-devices.js';
import { addCounts, type Fault, type FaultContext, type FaultOutcome, NOTHING } from './fault.js';
import { KEEP_ALL, NumberedDevice } from './numbered-device.js';
import { soakFaults } from './soak-faults.js';
import { SoakWatch } from './soak-watch.js';

/** Devices that are killed and frozen, besides one that lives from beginning to end. */
const MORTALS = 3;

/** A row of four each 4 ms is 1,000 readings a second of a device: twice the 500 that one is meant for. */
const STEP_US = 4000;

/** A table of one life, longer than the longest soak for the device that lives through it. */
const LIFE_ROWS = 75_000;
const ROWS_A_SECOND = 1_000_000 / STEP_US;
/** What starting and settling take. */
const SPARE_SECONDS = 120;

const MINUTES = 65;
const SHORT_MINUTES = 0.25;

/**
 * The first part is for faults that end the collector; then its memory is measured, after it has grown warm: in a soak of
 * an hour each path has been taken some hundred times, and is compiled for good, after the first half of it.
 */
const ENDING_PART = 0.2;
const WARM_PART = 0.35;

/**
 * A young collector grows until the page cache of its store, 16 MiB, is full, which takes 120,000 items; at the soak's own
 * rate that is an hour. So it is given them before its memory is measured. The pauses keep this from being a load that it
 * never has again: what such a load leaves in the heaps would hide that something grows.
 */
const FILLING = { devices: 4, batches: 50_000, batchReadings: 40, series: 4, streamItems: 50, pace: live(20) };
const FILLING_SHORT_BATCHES = 500;

/** Between two faults, at the most, and what a fault lasts that lasts. */
const CALM_MS_MAX = 6000;
const LAST_MS_MAX = 15_000;
/** The short form has these so many times shorter. */
const SHORTER = 10;

const GROWTH_BYTES_AN_HOUR_MAX = 1e6;

/**
 * For the processes that are measured: what they hold is to be seen, not what waits to be collected. Nor what glibc keeps
 * for each thread of V8's own: 3 MB each once it has had its largest task, which takes hours, and is not the program's.
 */
const WITHOUT_GARBAGE = {
  NODE_OPTIONS: `--import ${new URL('./collect-garbage.js', import.meta.url)}`,
  MALLOC_ARENA_MAX: '2',
};

export const soak: Fault = {
  number: 44,
  title: 'soak at twice the load with faults at random',
  times: 1,
  shortTimes: 1,
  needs: ['linux'],
  run: async (context) => {
    const scene = await Scene.open('f44', () => KEEP_ALL);
    let outcome: FaultOutcome;
    try {
      outcome = await soaked(scene, context);
    } catch (error) {
      await scene.close().catch(() => {});
      throw error;
    }
    await scene.close();
    return outcome;
  },
};

async function soaked(scene: Scene, context: FaultContext): Promise<FaultOutcome> {
  const { random, isShort, log } = context;
  const minutes = context.minutes ?? (isShort ? SHORT_MINUTES : MINUTES);
  const lengthMs = minutes * 60_000;
  const devices: NumberedDevice[] = [];
  for (let at = 0; at <= MORTALS; at++) {
    const name = `device-${at}`;
    await scene.rig.device(name);
    devices.push(new NumberedDevice(scene, name, {}, STEP_US));
  }
  const [witness, ...mortals] = devices;
  scene.env.set('collector', WITHOUT_GARBAGE);
  scene.env.set(witness!.name, WITHOUT_GARBAGE);
  await witness!.start(witness!.ledger.next(Math.ceil((minutes * 60 + SPARE_SECONDS) * ROWS_A_SECOND)));
  for (const device of mortals) await device.start(device.ledger.next(LIFE_ROWS));

  const paceOf = (ms: number) => (isShort ? ms / SHORTER : ms) * random();
  const beginsMs = performance.now();
  const elapsed = () => (performance.now() - beginsMs) / lengthMs;
  const struck = new Map<string, number>();
  let strikes = 0;
  let watches: SoakWatch[] = [];
  let filling: CheapDevices | undefined;
  const tell = () => {
    const done = `${(elapsed() * minutes).toFixed(1)} of ${minutes} minutes, ${strikes} faults`;
    log([done, ...watches.map((watch) => watch.text())].join('; '));
  };
  const minutely = setInterval(tell, 60_000);
  try {
    // A process that ended by itself fails the soak when the scene is closed.
    while (elapsed() < 1 && scene.failures.length === 0) {
      await pause(paceOf(CALM_MS_MAX));
      const isMeasured = elapsed() > ENDING_PART;
      const possible = soakFaults.filter(({ endsCollector }) => !isMeasured || endsCollector !== true);
      const fault = possible[Math.floor(random() * possible.length)]!;
      if (isMeasured && filling === undefined) {
        // The life that is measured.
        await scene.stopCollector();
        await scene.restartCollector();
        const batches = isShort ? FILLING_SHORT_BATCHES : FILLING.batches;
        filling = await CheapDevices.prepare(scene.rig, scene.collectorPort, { ...FILLING, batches, name: 'filling' });
        await filling.register();
        await filling.send();
        filling.close();
        log(`${filling.readings} readings have filled the caches`);
      }
      if (watches.length === 0 && elapsed() > ENDING_PART + WARM_PART) {
        watches = [
          new SoakWatch('collector', scene.collectorProcess.pid),
          new SoakWatch('agent', scene.agentProcess(witness!.name).pid),
        ];
        for (const watch of watches) watch.start();
      }
      await fault.strike(scene, mortals, random, () => pause(paceOf(LAST_MS_MAX)));
      await renewed(scene, mortals);
      struck.set(fault.name, (struck.get(fault.name) ?? 0) + 1);
      strikes++;
    }
  } finally {
    clearInterval(minutely);
    for (const watch of watches) watch.stop();
  }
  tell();

  let counts = NOTHING;
  const problems = watches.flatMap((watch) => watch.problems(GROWTH_BYTES_AN_HOUR_MAX));
  for (const device of devices) {
    const compared = await device.settle();
    counts = addCounts(counts, compared.counts);
    problems.push(...compared.problems.map((problem) => `${device.name}: ${problem}`));
  }
  const filled = await compareAll(scene.observer, filling === undefined ? [] : [filling]);
  counts = addCounts(counts, filled.counts);
  problems.push(...filled.problems);
  const kinds = [...struck].map(([name, count]) => `${count} ${name}`).join(', ');
  const figures = [`${minutes} minutes, ${strikes} faults (${kinds})`, ...watches.map((watch) => watch.text())];
  return { ...counts, problems, figures: figures.join('; ') };
}

/** Gives a new table to those that have read theirs to the end. */
async function renewed(scene: Scene, mortals: readonly NumberedDevice[]): Promise<void> {
  for (const device of mortals) {
    const { sources } = await scene.status(device.name);
    if (sources[0]?.state !== 'finished') continue;
    await scene.stopAgent(device.name);
    device.note();
    await device.start(device.ledger.next(LIFE_ROWS));
  }
}
