import { Scene } from '../e2e/scene.js';
import { freePort, readMetrics } from '../rig/collector-metrics.js';
import { pause } from '../rig/pause.js';
import { CheapDevices, compareAll, live } from './cheap-devices.js';
import { addCounts, type Fault, NOTHING } from './fault.js';
import { KEEP_ALL } from './numbered-device.js';

const DEVICES = 20;
const PAUSE_MS = 500;
const BATCH_READINGS = 100;
/** Ten times as often, ten times as much: 100 times the readings of the others. */
const GREEDY = 10;
/** Of each device: enough that the 99th percentile of all is not three answers. */
const STREAMS = 60;
const SHORT_STREAMS = 20;

/** More series than a collector takes of one device. */
const BOMB_SERIES = 20_000;
const BOMB_PAUSE_MS = 250;

/** Where the collector counts it. */
const REFUSED = 'registrations_refused_total{reason="too-many-series"}';

const SLOWER_MAX = 2;

export const oneDeviceTooMany: Fault = {
  number: 33,
  title: 'one device at 100 times its rate, and a cardinality bomb',
  times: 3,
  shortTimes: 1,
  run: async ({ times, isShort, log, patience }) => {
    const problems: string[] = [];
    const figures: string[] = [];
    let counts = NOTHING;
    for (let time = 0; time < times; time++) {
      const metricsPort = await freePort();
      const health = { listen: `127.0.0.1:${metricsPort}` };
      const scene = await Scene.open('f33', () => ({ ...KEEP_ALL, health }));
      try {
        const { rig, collectorPort, observer } = scene;
        const prepare = (name: string, devices: number, times = 1) =>
          CheapDevices.prepare(rig, collectorPort, {
            name,
            devices,
            batches: (isShort ? SHORT_STREAMS : STREAMS) * times,
            batchReadings: BATCH_READINGS * times,
            streamItems: 1,
            pace: live(PAUSE_MS / times),
          });
        // A collector that has just started is slow for other reasons.
        const warming = await prepare('warming', DEVICES);
        await warming.register();
        await warming.send();
        const alone = await prepare('alone', DEVICES);
        await alone.register();
        await alone.send();
        const others = await prepare('others', DEVICES);
        const greedy = await prepare('greedy', 1, GREEDY);
        const bomb = await CheapDevices.prepare(rig, collectorPort, {
          name: 'bomb',
          devices: 1,
          batches: 0,
          batchReadings: BOMB_SERIES,
          series: BOMB_SERIES,
        });
        await Promise.all([others.register(), greedy.register()]);
        let refused = 0;
        let over = false;
        const bombing = (async () => {
          while (!over) {
            await bomb.register().catch(() => refused++);
            await pause(BOMB_PAUSE_MS);
          }
        })();
        const hurrying = greedy.send();
        await others.send();
        over = true;
        await Promise.all([bombing, hurrying]);
        const [before, after] = [alone, others].map(({ answers }) => answers.quantileMs(0.99));
        if (refused === 0) problems.push('the cardinality bomb was not refused');
        const { [REFUSED]: counted } = await readMetrics(metricsPort, [REFUSED]);
        if (counted !== refused) problems.push(`${refused} bombs were refused, and ${counted} counted`);
        if (after! > SLOWER_MAX * before! * patience) {
          problems.push(`others' p99 rose from ${Math.round(before!)} to ${Math.round(after!)} ms`);
        }
        figures.push(
          `others' p99 ${before!.toFixed(1)} ms alone, ${after!.toFixed(1)} ms beside it; ${refused} bombs refused`,
        );
        const compared = await compareAll(observer, [warming, alone, others, greedy]);
        counts = addCounts(counts, compared.counts);
        problems.push(...compared.problems);
        for (const group of [warming, alone, others, greedy, bomb]) group.close();
        log(figures.at(-1)!);
      } finally {
        await scene.close();
      }
    }
    return { ...counts, problems, figures: figures.join('; ') };
  },
};
