import { until } from '../rig/until.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { type NumberedDevice, withDevice } from './numbered-device.js';

const STEP_US = 4000;

/** What the row demands, for a connection that goes silent and for one that is silent from its beginning. */
const NOTICED_MS_MAX = 45_000;

/** Besides the waits of 20 to 30 s a device jitters and backs off before it tries anew. */
const GIVES_UP_MS = 120_000;

export const silentLink: Fault = {
  number: 22,
  title: 'half-open link; peer that accepts and never speaks',
  times: 6,
  shortTimes: 1,
  run: ({ times, isShort, log, patience }) =>
    withDevice(
      'f22',
      async (device) => {
        const halfOpen = new Durations();
        const mute = new Durations();
        await device.start();
        for (let round = 0; round < times; round++) {
          await untilAcknowledged(device);
          const { scene } = device;
          const { connections } = scene.proxy.stats();
          const { broken } = (await scene.status(device.name)).uplink.streams;
          scene.proxy.set({ stalled: true });
          const beginsMs = performance.now();
          const hasBroken = async () => (await scene.status(device.name)).uplink.streams.broken > broken;
          await until('it gives up the half-open connection', hasBroken, GIVES_UP_MS);
          halfOpen.add(performance.now() - beginsMs);
          if (!isShort) {
            await until('it tries anew', () => scene.proxy.stats().connections > connections, GIVES_UP_MS);
            const againMs = performance.now();
            const { connectFailures } = (await scene.status(device.name)).uplink;
            const hasGivenUp = async () => (await scene.status(device.name)).uplink.connectFailures > connectFailures;
            await until('it gives up the mute peer', hasGivenUp, GIVES_UP_MS);
            mute.add(performance.now() - againMs);
          }
          scene.proxy.heal();
          log(`${round + 1} rounds, ${halfOpen.text('half-open')}, ${mute.text('mute')}`);
        }
        await untilAcknowledged(device);
        const { counts, problems } = await device.settle();
        const worstMs = Math.max(halfOpen.worstMs, mute.worstMs);
        if (worstMs > NOTICED_MS_MAX * patience)
          problems.push(`noticed after ${Math.round(worstMs / 1000)} s; at most 45`);
        const figures = `noticed: ${halfOpen.text('half-open')}${isShort ? '' : `, ${mute.text('mute')}`}`;
        return { ...counts, problems, figures };
      },
      { stepUs: STEP_US, agent: { collector: { streamAge: '500ms' } } },
    ),
};

async function untilAcknowledged(device: NumberedDevice): Promise<void> {
  const { itemsAcknowledged } = (await device.scene.status(device.name)).uplink;
  await until(
    'items are acknowledged',
    async () => (await device.scene.status(device.name)).uplink.itemsAcknowledged > itemsAcknowledged,
    GIVES_UP_MS,
  );
}
