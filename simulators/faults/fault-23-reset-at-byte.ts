import { until } from '../rig/until.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;
/** Half an hour: a hundred resets take ten minutes or more. */
const ROWS = 450_000;
const SHORT_ROWS = 100_000;

/** Handshake, registration and several streams: resets fall into all of them. */
const BYTES_UP_MAX = 200_000;
const BYTES_DOWN_MAX = 8000;
/** A device of this rate sends some 2 kB a second: the farthest reset comes after a minute and a half. */
const RESET_MS_MAX = 120_000;
/** Resets one after another look like a collector that is ill, and the wait between two attempts grows. */
const BACK_MS_MAX = 30_000;

export const resetAtByte: Fault = {
  number: 23,
  title: 'connection reset at byte N',
  times: 100,
  shortTimes: 6,
  run: ({ times, isShort, random, log, patience }) =>
    withDevice(
      'f23',
      async (device, scene) => {
        await device.start(device.ledger.next(isShort ? SHORT_ROWS : ROWS));
        for (let reset = 0; reset < times; reset++) {
          const isUp = random() < 0.7;
          const limit = Math.ceil((isUp ? BYTES_UP_MAX : BYTES_DOWN_MAX) ** random());
          const { resets } = scene.proxy.stats();
          const { registrations } = (await scene.status('device')).uplink;
          scene.proxy.set(isUp ? { resetAfterBytesUp: limit } : { resetAfterBytesDown: limit });
          await until(
            `a reset at byte ${limit} ${isUp ? 'up' : 'down'}`,
            () => scene.proxy.stats().resets > resets,
            RESET_MS_MAX * patience,
          );
          scene.proxy.heal();
          await until(
            'device: it is back',
            async () => (await scene.status('device')).uplink.registrations > registrations,
            BACK_MS_MAX * patience,
          );
          log(`${reset + 1} resets, the last at byte ${limit} ${isUp ? 'up' : 'down'}`);
        }
        const { duplicatesDropped } = await scene.observer.sums('device');
        const { counts, problems } = await device.settle();
        return { ...counts, problems, figures: `${duplicatesDropped} items came twice and were dropped` };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '200ms' } } },
    ),
};
