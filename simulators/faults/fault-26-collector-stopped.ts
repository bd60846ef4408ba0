import { pause } from '../rig/pause.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;
const STOPPED_MS = 60_000;
const STOPPED_SHORT_MS = 6000;

/** Young heaps grow for a while whatever happens. */
const WARM_MS = 15_000;
const WARM_SHORT_MS = 4000;

const GROWTH_BYTES_MAX = 10 * 1024 * 1024;

export const collectorStopped: Fault = {
  number: 26,
  title: 'collector stopped (SIGSTOP) for 60 s',
  times: 3,
  shortTimes: 1,
  needs: ['linux'],
  run: ({ times, isShort, log, patience }) =>
    withDevice(
      'f26',
      async (device, scene) => {
        const problems: string[] = [];
        const stoppedMs = isShort ? STOPPED_SHORT_MS : STOPPED_MS;
        let growth = 0;
        for (let stop = 0; stop < times; stop++) {
          await device.start();
          await pause(isShort ? WARM_SHORT_MS : WARM_MS);
          const rss = async () => (await scene.status('device')).rssBytes;
          let before = await rss();
          for (let look = 0; look < 10; look++) {
            await pause(100);
            before = Math.max(before, await rss());
          }
          scene.collectorProcess.signal('SIGSTOP');
          const endMs = performance.now() + stoppedMs;
          while (performance.now() < endMs) {
            await pause(500);
            growth = Math.max(growth, (await rss()) - before);
          }
          const { buffer } = await scene.status('device');
          scene.collectorProcess.signal('SIGCONT');
          await scene.untilStatus(
            'device',
            'all that waited is acknowledged',
            (status) => status.buffer.oldestSequence > buffer.highestSequence || status.buffer.items === 0,
          );
          await scene.stopAgent('device');
          device.note();
          log(`${stop + 1} stops, the agent has grown by ${growth >> 10} KiB at the most`);
        }
        await scene.settle('device', device.settings);
        const { counts, problems: wrong } = await device.compare();
        if (growth > GROWTH_BYTES_MAX * patience)
          problems.push(`the agent grew by ${mebibytes(growth)}; at most 10 MiB`);
        const figures = `stopped for ${stoppedMs / 1000} s, agent grew by ${mebibytes(growth)} at the most`;
        return { ...counts, problems: [...problems, ...wrong], figures };
      },
      { stepUs: STEP_US },
    ),
};

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
