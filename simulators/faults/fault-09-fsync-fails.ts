import { join } from 'node:path';
import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { arm, FileShim, hasStruck } from './file-shim.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;
const RECOVERED_MS_MAX = 5000;

export const fsyncFails: Fault = {
  number: 9,
  title: 'fsync fails once, under the buffer and under the store',
  times: 20,
  shortTimes: 2,
  needs: ['linux', 'compiler'],
  run: async ({ times, random, folder, log, patience }) => {
    const shim = new FileShim(folder);
    const armFiles = { agent: join(folder, 'arm-agent'), collector: join(folder, 'arm-collector') };
    return withDevice(
      'f9',
      async (device, scene) => {
        const recoveries = new Durations();
        scene.env.set('device', shim.env({ match: 'device.db', armFile: armFiles.agent, only: 'sync' }));
        scene.env.set('collector', shim.env({ match: 'collector.db', armFile: armFiles.collector, only: 'sync' }));
        await scene.stopCollector();
        await scene.restartCollector();
        await device.start();
        for (let failure = 0; failure < times; failure++) {
          await scene.untilStatus('device', 'it is connected', ({ uplink }) => uplink.registrations > 0);
          await pause(500 + random() * 500);
          const isAgent = failure % 2 === 0;
          const armFile = isAgent ? armFiles.agent : armFiles.collector;
          // The agent recovers when its buffer takes readings again, the collector when it answers for them again.
          const progress = async () => {
            if (isAgent) return (await scene.status('device')).buffer.readingsProduced;
            return (await scene.status('device')).uplink.itemsAcknowledged;
          };
          arm(armFile);
          await until('an fsync has failed', () => hasStruck(armFile));
          const beginsMs = performance.now();
          const before = await progress();
          await until('it goes on', async () => (await progress()) > before);
          recoveries.add(performance.now() - beginsMs);
          log(
            `${failure + 1} failures, the last under the ${isAgent ? 'buffer' : 'store'}; ${recoveries.text('recovered')}`,
          );
        }
        const { appendFailures } = (await scene.status('device')).buffer;
        const { counts, problems } = await device.settle();
        if (appendFailures === 0) problems.push('the agent has seen no failure');
        if (recoveries.worstMs > RECOVERED_MS_MAX * patience) {
          problems.push(`recovered after ${Math.round(recoveries.worstMs)} ms; at most ${RECOVERED_MS_MAX}`);
        }
        return { ...counts, problems, figures: `${appendFailures} appends failed, ${recoveries.text('recovered')}` };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '200ms' } } },
    );
  },
};
