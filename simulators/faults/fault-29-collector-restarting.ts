import { pause } from '../rig/pause.js';
import { AcknowledgementWatch } from './acknowledgement-watch.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;

/** The time between two restarts: in a deployment it is minutes, and each of them would weigh less. */
const BETWEEN_MS = 10_000;
const BETWEEN_SHORT_MS = 3000;

const ACKNOWLEDGED_P99_MS_MAX = 5000;

export const collectorRestarting: Fault = {
  number: 29,
  title: 'collector restarting (SIGTERM) under load',
  times: 20,
  shortTimes: 2,
  run: ({ times, isShort, log, patience }) =>
    withDevice(
      'f29',
      async (device, scene) => {
        await device.start();
        const watch = new AcknowledgementWatch(() => scene.status('device'));
        const problems: string[] = [];
        for (let restart = 0; restart < times; restart++) {
          await pause(isShort ? BETWEEN_SHORT_MS : BETWEEN_MS);
          const { registrations } = (await scene.status('device')).uplink;
          const code = await scene.stopCollector();
          if (code !== 0) problems.push(`the collector left with ${code}`);
          await scene.restartCollector();
          await scene.untilStatus('device', 'it is back', ({ uplink }) => uplink.registrations > registrations);
          log(`${restart + 1} restarts`);
        }
        await pause(BETWEEN_SHORT_MS);
        watch.stop();
        const p99Ms = watch.durations.quantileMs(0.99);
        if (p99Ms > ACKNOWLEDGED_P99_MS_MAX * patience)
          problems.push(`acknowledged p99 ${Math.round(p99Ms)} ms; at most 5000`);
        const { counts, problems: wrong } = await device.settle();
        const figures = `acknowledged p99 ${(p99Ms / 1000).toFixed(2)} s, ${watch.durations.text('all')}`;
        return { ...counts, problems: [...problems, ...wrong], figures };
      },
      // What is measured is what a restart adds, not how long a sound stream waits for more.
      { stepUs: STEP_US, agent: { collector: { streamAge: '500ms' } } },
    ),
};
