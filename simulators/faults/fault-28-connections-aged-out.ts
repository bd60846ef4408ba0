import { pause } from '../rig/pause.js';
import { until } from '../rig/until.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;

export const connectionsAgedOut: Fault = {
  number: 28,
  title: 'connections aged out after 5 s under load',
  times: 20,
  shortTimes: 2,
  run: ({ times, log, patience }) =>
    withDevice(
      'f28',
      async (device, scene) => {
        await device.start();
        for (let aged = 0; aged < times; aged++) {
          const { connections } = scene.proxy.stats();
          await until('a new connection', () => scene.proxy.stats().connections > connections, 30_000 * patience);
          log(`${aged + 1} connections aged out`);
          await pause(200);
        }
        const { uplink } = await scene.status('device');
        const { counts, problems } = await device.settle();
        const figures = `${uplink.connects} connections, ${uplink.streams.broken} of their streams broken`;
        return { ...counts, problems, figures };
      },
      { stepUs: STEP_US, collector: { limits: { connectionAge: '5s' } } },
    ),
};
