import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';
import { residentBytes } from './process-figures.js';

/** Of JavaScript objects; an agent needs about 20 MB of them. */
const HEAP_MEGABYTES = 48;

/** With the code, the buffer's thread and its caches. */
const RESIDENT_BYTES_MAX = 160 * 1024 * 1024;

/** A table that is read as fast as it is taken: a source that is faster than everything behind it. */
const ROWS = 150_000;
const SHORT_ROWS = 30_000;

export const memoryLimit: Fault = {
  number: 20,
  title: 'memory limit',
  times: 4,
  shortTimes: 1,
  needs: ['linux'],
  run: ({ times, isShort, log }) =>
    withDevice('f20', async (device, scene) => {
      const problems: string[] = [];
      let most = 0;
      scene.env.set('device', { NODE_OPTIONS: `--max-old-space-size=${HEAP_MEGABYTES}` });
      for (let time = 0; time < times; time++) {
        // Every other time nobody takes what is read.
        if (time % 2 === 1) scene.cutLink();
        await device.start(device.ledger.next(isShort ? SHORT_ROWS : ROWS, false));
        const { pid } = scene.agentProcess('device');
        await scene.untilStatus('device', 'the table is read', ({ sources, readings }) => {
          most = Math.max(most, residentBytes(pid));
          return sources[0]?.state === 'finished' && readings.pending === 0;
        });
        scene.proxy.heal();
        await scene.untilStatus('device', 'all is acknowledged', ({ buffer }) => {
          most = Math.max(most, residentBytes(pid));
          return buffer.readings === 0;
        });
        await scene.stopAgent('device');
        device.note();
        log(`${time + 1} tables, ${Math.round(most / 1e6)} MB at the most`);
      }
      if (most > RESIDENT_BYTES_MAX) problems.push(`${Math.round(most / 1e6)} MB resident; at most 168`);
      await scene.settle('device', device.settings);
      const { counts, problems: wrong } = await device.compare();
      const figures = `heap limit ${HEAP_MEGABYTES} MiB, resident ${Math.round(most / 1e6)} MB at the most, not killed`;
      return { ...counts, problems: [...problems, ...wrong], figures };
    }),
};
