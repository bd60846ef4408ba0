import { until } from '../rig/until.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const STEP_US = 4000;

export const acknowledgementLost: Fault = {
  number: 24,
  title: 'acknowledgement lost after the commit',
  times: 30,
  shortTimes: 3,
  run: ({ times, log }) =>
    withDevice(
      'f24',
      async (device, scene) => {
        await device.start();
        for (let lost = 0; lost < times; lost++) {
          const { uplink } = await scene.untilStatus(
            'device',
            'streams are answered',
            (status) => status.uplink.streams.answered > 0,
          );
          scene.proxy.set({ dropDown: true });
          // The agent learns of nothing any more, and sends no further stream before this one is answered: what it has
          // sent may be committed already.
          await until('the collector has more than the agent was told', async () => {
            const { stored } = await scene.observer.sums('device');
            const { buffer } = await scene.status('device');
            return stored > buffer.readingsProduced - buffer.readings;
          });
          scene.proxy.cut();
          scene.proxy.heal();
          await scene.untilStatus(
            'device',
            'it has registered anew and goes on',
            (status) =>
              status.uplink.registrations > uplink.registrations &&
              status.uplink.streams.answered > uplink.streams.answered,
          );
          log(`${lost + 1} answers lost`);
        }
        const { counts, problems } = await device.settle();
        return { ...counts, problems, figures: `${times} answers lost whose readings were committed` };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '0s' } } },
    ),
};
