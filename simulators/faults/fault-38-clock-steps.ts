import { writeFileSync } from 'node:fs';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { until } from '../rig/until.js';
import { ClockedScene } from './clocked-device.js';
import { addCounts, type Fault, NOTHING } from './fault.js';

const HOUR_US = 3_600e6;
const YEAR_US = 365.25 * 24 * HOUR_US;

/** From the true time of a reading. */
const ERROR_US_MAX = 1_000_000;

/** A stretch between two steps; several batches. */
const STRETCH_MS = 500;

/** Every number of the board is above it: it fires once, and a clock that moved readings about would fire it again. */
const RULES = JSON.stringify({ rules: [{ name: 'always', select: { name: 'n' }, above: -1, clear: -2 }] });

export const clockSteps: Fault = {
  number: 38,
  title: 'clock steps: -20 years at boot, +1 year, -1 hour',
  times: 10,
  shortTimes: 1,
  run: ({ times, random, log, patience }) =>
    ClockedScene.with('f38', rulesOf, async (scene) => {
      let counts = NOTHING;
      const problems: string[] = [];
      let worstUs = 0;
      for (let at = 0; at < times; at++) {
        await scene.device(`clock-${at}`, async (device) => {
          const { machine } = device;
          const steps = [() => machine.step(YEAR_US), () => machine.step(-HOUR_US), () => machine.synchronize()];
          await device.boot(-20 * YEAR_US);
          await device.run(STRETCH_MS);
          // Twice through all of them, in any order: with the collector, and without it.
          for (let round = 0; round < 2; round++) {
            if (round === 1) scene.cutLink();
            for (const step of [...steps, ...steps].sort(() => random() - 0.5)) {
              step();
              await device.run(STRETCH_MS * (0.3 + random()));
            }
          }
          scene.proxy.heal();
          await device.uploaded();
          await device.halt();
          const result = await device.compare();
          counts = addCounts(counts, result.counts);
          problems.push(...result.problems);
          for (const { number, eventUs, trueUs, quality } of result.found) {
            const errorUs = Math.abs(eventUs - trueUs);
            worstUs = Math.max(worstUs, errorUs);
            if (errorUs > ERROR_US_MAX * patience) problems.push(`number ${number} is dated wrongly by ${errorUs} us`);
            if (quality !== TimeQuality.SYNCHRONIZED && quality !== TimeQuality.ESTIMATED) {
              problems.push(`number ${number} has quality ${TimeQuality[quality]}`);
            }
          }
          const alerts = await until('the rule has fired', async () => {
            const found = await scene.alerts(device.name);
            return found.length > 0 && found;
          });
          if (alerts.length !== 1 || alerts[0]!.state !== AlertState.FIRING) {
            problems.push(`${alerts.length} alerts of one incident that goes on`);
          }
        });
        log(`${at + 1} devices, ${counts.produced} readings`);
      }
      return { ...counts, problems: problems.slice(0, 10), figures: `off by ${(worstUs / 1e6).toFixed(3)} s at worst` };
    }),
};

function rulesOf(rig: Parameters<Parameters<typeof ClockedScene.with>[1]>[0]): Record<string, unknown> {
  const path = rig.path('rules.yaml');
  writeFileSync(path, RULES);
  return { rules: path };
}
