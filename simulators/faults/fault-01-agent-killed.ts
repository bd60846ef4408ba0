import { pause } from '../rig/pause.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

/** From the start of the process to sampling. */
const RESTART_MS_MAX = 2000;

/** A life lasts up to this long beyond its start: batches are closed, sent, acknowledged and deleted all the while. */
const LIFE_MS_MAX = 1500;

export const agentKilled: Fault = {
  number: 1,
  title: 'agent killed',
  times: 100,
  shortTimes: 4,
  run: ({ times, random, log, patience }) =>
    withDevice('f1', async (device, scene) => {
      const restarts = new Durations();
      for (let kill = 0; kill < times; kill++) {
        restarts.add(await device.start());
        await pause(random() * LIFE_MS_MAX);
        await device.kill();
        // One life in four is without the collector.
        if (random() < 0.25) scene.cutLink();
        else scene.proxy.heal();
        log(`${kill + 1} kills, ${device.ledger.produced} readings`);
      }
      restarts.add(await device.start());
      const { counts, problems } = await device.settle();
      if (restarts.worstMs > RESTART_MS_MAX * patience) {
        problems.push(`a restart took ${Math.round(restarts.worstMs)} ms; at most ${RESTART_MS_MAX * patience}`);
      }
      return { ...counts, problems, figures: restarts.text('restarts') };
    }),
};
