import { until } from '../rig/until.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

/** Four series once a second. Outages are replayed: what matters is the backlog that they leave. */
const STEP_US = 1_000_000;
const DAY_SECONDS = 86_400;

/** So narrow that the order can be looked at while a long backlog drains. */
const BITS_PER_SECOND = 4_000_000;

/** Order holds in each of the two lanes. */
const LANES = 2;

export const linkDown: Fault = {
  number: 21,
  title: 'link down 1 s to 24 h, replayed',
  times: 12,
  shortTimes: 3,
  run: ({ times, random, log, patience }) =>
    withDevice(
      'f21',
      async (device, scene) => {
        const drains = new Durations();
        const problems: string[] = [];
        let longest = 0;
        for (let outage = 0; outage < times; outage++) {
          // A second, a whole day, and between them any length that is as likely in seconds as in hours.
          const seconds = outage === 0 ? 1 : outage === 1 ? DAY_SECONDS : Math.ceil(DAY_SECONDS ** random());
          longest = Math.max(longest, seconds);
          scene.cutLink();
          const before = device.ledger.produced;
          await device.start(device.ledger.next(seconds, false));
          await scene.untilStatus(
            'device',
            'the outage is in the buffer',
            ({ sources, buffer, readings }) =>
              sources[0]?.state === 'finished' &&
              readings.pending === 0 &&
              buffer.readingsProduced === before + device.ledger.readingsOfLast,
          );
          scene.proxy.heal();
          scene.proxy.set({ bitsPerSecond: BITS_PER_SECOND });
          const beginsMs = performance.now();
          const looked = await until(
            `the backlog of ${seconds} s is 0`,
            async () => {
              const { buffer } = await scene.status('device');
              const runs = device.ledger.runsOfLast(await scene.observer.readings('device'));
              if (runs > LANES) problems.push(`${seconds} s: what is stored lies in ${runs} pieces while it drains`);
              return buffer.readings === 0 && runs > 0;
            },
            60_000 * patience,
          );
          if (!looked) problems.push(`${seconds} s: nothing was stored`);
          drains.add(performance.now() - beginsMs);
          await scene.stopAgent('device');
          device.note();
          log(`${outage + 1} outages, the last of ${seconds} s`);
        }
        await scene.settle('device');
        const { counts, problems: wrong } = await device.compare();
        const figures = `longest ${longest} s, ${drains.text('backlog to 0')}`;
        return { ...counts, problems: [...problems, ...wrong], figures };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '0s' } } },
    ),
};
