import { until } from '../rig/until.js';
import { readDeadBuffer } from './dead-buffer.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

const BITS_PER_SECOND = 64_000;
const ONE_WAY_MS = 150;

/** Rows whose batches fill the link for about this long. */
const BACKLOG_ROWS = 60_000;
const BACKLOG_SHORT_ROWS = 15_000;

const GOODPUT_MIN = 0.7;
const DRAIN_MS = 300_000;

export const longThinLink: Fault = {
  number: 25,
  title: '300 ms round trip at 64 kbit/s',
  times: 2,
  shortTimes: 1,
  run: ({ times, isShort, log, patience }) =>
    withDevice('f25', async (device, scene) => {
      const problems: string[] = [];
      const shares: number[] = [];
      for (let round = 0; round < times; round++) {
        scene.cutLink();
        await device.start(device.ledger.next(isShort ? BACKLOG_SHORT_ROWS : BACKLOG_ROWS, false));
        await scene.untilStatus(
          'device',
          'the backlog is in the buffer',
          ({ sources, readings }) => sources[0]?.state === 'finished' && readings.pending === 0,
        );
        await device.kill();
        const { bodyBytes } = readDeadBuffer(device.bufferPath);
        scene.proxy.heal();
        scene.proxy.set({ bitsPerSecond: BITS_PER_SECOND, delayMs: ONE_WAY_MS });
        await scene.agent('device', [], device.settings);
        const registeredMs = await until(
          'it is connected',
          async () => (await scene.status('device')).uplink.registrations > 0 && performance.now(),
        );
        await until('the backlog is 0', async () => (await scene.status('device')).buffer.readings === 0, DRAIN_MS);
        const seconds = (performance.now() - registeredMs) / 1000;
        shares.push((bodyBytes * 8) / seconds / BITS_PER_SECOND);
        log(
          `${bodyBytes} bytes of batches in ${seconds.toFixed(1)} s: ${(shares.at(-1)! * 100).toFixed(0)} % of the link`,
        );
        await scene.stopAgent('device');
      }
      scene.proxy.heal();
      const { counts, problems: wrong } = await device.compare();
      const worst = Math.min(...shares);
      if (!(worst >= GOODPUT_MIN / patience))
        problems.push(`goodput is ${percent(worst)} of the link; at least ${percent(GOODPUT_MIN)}`);
      return { ...counts, problems: [...problems, ...wrong], figures: `goodput ${shares.map(percent).join(', ')}` };
    }),
};

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
