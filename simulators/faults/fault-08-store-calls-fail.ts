import { pause } from '../rig/pause.js';
import type { Fault } from './fault.js';
import { FileShim } from './file-shim.js';
import { withDevice } from './numbered-device.js';
import { unname } from './unnamed-database.js';

const NTH_MAX = 500;

/** What a life under failing calls lasts, beyond the start of the process. */
const LIFE_MS = 2500;

/** So many lives are from one to the next that finds a file which must be salvaged, while its calls fail. */
const DAMAGED_EVERY = 3;

export const storeCallsFail: Fault = {
  number: 8,
  title: 'every Nth store call fails, N from 1 to 500',
  times: 60,
  shortTimes: 4,
  needs: ['linux', 'compiler'],
  run: async ({ times, random, folder, log }) => {
    const shim = new FileShim(folder);
    return withDevice(
      'f8',
      async (device, scene) => {
        const problems: string[] = [];
        await device.start();
        await scene.killAgent('device');
        device.noteContents();
        let starved = 0;
        for (let life = 0; life < times; life++) {
          const every = life === 0 ? 1 : Math.ceil(NTH_MAX ** random());
          scene.env.set('device', shim.env({ match: 'device.db', every }));
          if (life % DAMAGED_EVERY === DAMAGED_EVERY - 1) unname(device.bufferPath);
          const failures = scene.failures.length;
          // Where every call fails it cannot even open its file: it waits then, and says so, and must not end.
          const ready = device.start().then(
            () => true,
            () => false,
          );
          const begun = await Promise.race([ready, pause(LIFE_MS).then(() => false)]);
          if (begun) await pause(LIFE_MS * random());
          else starved++;
          if (scene.failures.length > failures) problems.push(`N = ${every}: the agent ended by itself`);
          await scene.killLatest('device');
          await ready;
          device.noteContents();
          log(`${life + 1} lives, the last with N = ${every}${begun ? '' : ', which did not begin'}`);
        }
        scene.env.delete('device');
        await device.start();
        const { counts, problems: wrong } = await device.settleContents();
        return {
          ...counts,
          problems: [...problems, ...wrong],
          figures: `${starved} lives found no working call to begin with`,
        };
      },
      { agent: { collector: { streamAge: '200ms' } } },
    );
  },
};
