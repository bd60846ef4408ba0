import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { ClockedScene, type DatedReading } from './clocked-device.js';
import { addCounts, type Fault, NOTHING } from './fault.js';

const HOUR_US = 3_600e6;
const YEAR_US = 365.25 * 24 * HOUR_US;

/** Boots in a row of which none knows the time. */
const BOOTS = 10;

/** From the true time of a reading, where the boot came to know it. */
const ERROR_US_MAX = 1_000_000;

/** A boot lasts at least so long: a few batches. */
const BOOT_MS = 300;

export const bootsWithoutTime: Fault = {
  number: 39,
  title: 'ten boots without time, then sync',
  times: 10,
  shortTimes: 1,
  run: ({ times, random, log, patience }) =>
    ClockedScene.with(
      'f39',
      () => ({}),
      async (scene) => {
        let counts = NOTHING;
        const problems: string[] = [];
        let placed = 0;
        for (let at = 0; at < times; at++) {
          await scene.device(`boots-${at}`, async (device) => {
            const known = new Set<number>();
            device.lagUs = 24 * HOUR_US;
            scene.cutLink();
            // Every other device had a boot before them that knew the time.
            if (at % 2 === 0) {
              await device.boot(0);
              device.machine.synchronize();
              known.add(device.boots);
              await device.run(BOOT_MS);
              await device.halt();
            }
            for (let boot = 0; boot < BOOTS; boot++) {
              device.lagUs -= HOUR_US * (0.02 + random());
              await device.boot([-20 * YEAR_US, YEAR_US, -HOUR_US * random(), 0][Math.floor(random() * 4)]!);
              await device.run(BOOT_MS * (1 + random()));
              await device.halt();
            }
            device.lagUs = 0;
            scene.proxy.heal();
            await device.boot(-20 * YEAR_US);
            known.add(device.boots);
            await device.run(BOOT_MS);
            await device.uploaded();
            await device.halt();
            const result = await device.compare();
            counts = addCounts(counts, result.counts);
            problems.push(...result.problems, ...wrongTimes(result.found, known, ERROR_US_MAX * patience));
            placed += result.found.filter(({ quality }) => quality === TimeQuality.PLACED).length;
          });
          log(`${at + 1} devices, ${counts.produced} readings`);
        }
        return { ...counts, problems: problems.slice(0, 10), figures: `${placed} readings of boots that were placed` };
      },
    ),
};

/** In order of their numbers: the times go up, those of boots that knew the time are right, and the flags say which. */
function wrongTimes(found: readonly DatedReading[], known: ReadonlySet<number>, errorUsMax: number): string[] {
  const problems: string[] = [];
  let before = { boot: 0, eventUs: Number.NEGATIVE_INFINITY };
  for (const { number, boot, eventUs, trueUs, quality } of found) {
    // Two that the agent read at once have one time.
    const isLater = boot === before.boot ? eventUs >= before.eventUs : eventUs > before.eventUs;
    if (!isLater) problems.push(`number ${number} of boot ${boot} is not dated after the one before it`);
    before = { boot, eventUs };
    if (known.has(boot) === (quality === TimeQuality.PLACED)) {
      problems.push(`number ${number} of boot ${boot} has quality ${TimeQuality[quality]}`);
    }
    const errorUs = Math.abs(eventUs - trueUs);
    if (known.has(boot) && errorUs > errorUsMax) {
      problems.push(`number ${number} of boot ${boot} is dated wrongly by ${errorUs} us`);
    }
  }
  return problems;
}
