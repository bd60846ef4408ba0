import { Scene } from '../e2e/scene.js';
import { pause } from '../rig/pause.js';
import { CheapDevices, compareAll } from './cheap-devices.js';
import { Durations } from './durations.js';
import { addCounts, type Fault, NOTHING } from './fault.js';
import { KEEP_ALL } from './numbered-device.js';
import { residentBytes } from './process-figures.js';

const DEVICES = 500;
const SHORT_DEVICES = 60;

/** Back is who is registered and has what it kept acknowledged. */
const BACK_PART = 0.95;
const BACK_MS_MAX = 120_000;

/** A device that was refused comes again after half to one and a half times this. */
const AGAIN_MS = 1000;

/** What a container for a collector is given. */
const RESIDENT_BYTES_MAX = 512 * 1024 * 1024;

export const fleetReturns: Fault = {
  number: 30,
  title: 'the fleet returns at once',
  times: 2,
  shortTimes: 1,
  needs: ['linux'],
  run: async ({ times, isShort, random, log, patience }) => {
    const problems: string[] = [];
    const figures: string[] = [];
    let counts = NOTHING;
    for (let time = 0; time < times; time++) {
      const scene = await Scene.open('f30', () => KEEP_ALL);
      try {
        const { rig, collectorPort, observer } = scene;
        const devices = isShort ? SHORT_DEVICES : DEVICES;
        const options = { name: 'fleet', devices, batches: 20, batchReadings: 1000 };
        const fleet = await CheapDevices.prepare(rig, collectorPort, options);
        await scene.stopCollector();
        await scene.restartCollector();
        const { pid } = scene.collectorProcess;
        let most = 0;
        const watching = setInterval(() => {
          most = Math.max(most, residentBytes(pid));
        }, 100);
        const back = new Durations();
        let refusals = 0;
        const beginsMs = performance.now();
        await Promise.all(
          fleet.devices.map(async (device) => {
            for (;;) {
              try {
                await device.register();
                await device.send();
                back.add(performance.now() - beginsMs);
                return;
              } catch (error) {
                refusals++;
                if (performance.now() - beginsMs > 2 * BACK_MS_MAX) throw error;
                await pause(AGAIN_MS * (0.5 + random()));
              }
            }
          }),
        );
        clearInterval(watching);
        const backMs = back.quantileMs(BACK_PART);
        if (backMs > BACK_MS_MAX * patience)
          problems.push(`95 % are back after ${Math.round(backMs / 1000)} s; at most 120`);
        if (most > RESIDENT_BYTES_MAX) problems.push(`the collector took ${Math.round(most / 1e6)} MB`);
        const deferrals = fleet.devices.reduce((sum, { tally }) => sum + tally.deferrals, 0);
        figures.push(
          `${devices} devices, 95 % back in ${(backMs / 1000).toFixed(1)} s, ${refusals} refusals, ` +
            `${deferrals} hints honoured, collector ${Math.round(most / 1e6)} MB at the most`,
        );
        const compared = await compareAll(observer, [fleet]);
        counts = addCounts(counts, compared.counts);
        problems.push(...compared.problems);
        fleet.close();
        log(figures.at(-1)!);
      } finally {
        await scene.close();
      }
    }
    return { ...counts, problems, figures: figures.join('; ') };
  },
};
