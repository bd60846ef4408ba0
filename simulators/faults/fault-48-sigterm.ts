import { connect } from 'node:net';
import { readStatus } from '@tributary/agent/health/status-socket';
import { pause } from '../rig/pause.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { withDevice } from './numbered-device.js';

/** What the row demands; service managers kill after it. */
const OUT_MS_MAX = 25_000;

/** Between start and signal, at the most: uploads, alert streams and queries are open. */
const LIFE_MS_MAX = 1200;

export const sigterm: Fault = {
  number: 48,
  title: 'SIGTERM with everything open',
  times: 50,
  shortTimes: 3,
  run: ({ times, random, log, patience }) =>
    withDevice('f48', async (device, scene) => {
      const problems: string[] = [];
      const agents = new Durations();
      const collectors = new Durations();
      for (let stop = 0; stop < times; stop++) {
        await device.start();
        await scene.untilStatus('device', 'it is connected', ({ uplink }) => uplink.registrations > 0);
        await pause(random() * LIFE_MS_MAX);
        // Callers that never hang up: on the status socket, on the collector's port without a handshake, and a query.
        const idle = [connect(scene.rig.path('device.sock')), connect(scene.collectorPort, '127.0.0.1')];
        for (const socket of idle) socket.on('error', () => {});
        const query = scene.observer.readings('device').catch(() => undefined);
        await readStatus(scene.rig.path('device.sock'));
        const measured = async (durations: Durations, name: string, stopping: Promise<number | null | undefined>) => {
          const beginsMs = performance.now();
          const code = await stopping;
          durations.add(performance.now() - beginsMs);
          if (code !== 0) problems.push(`stop ${stop + 1}: the ${name} left with ${code}`);
        };
        const isCollectorFirst = random() < 0.5;
        const both: (() => Promise<void>)[] = [
          () => measured(agents, 'agent', scene.stopAgent('device')),
          () => measured(collectors, 'collector', scene.stopCollector()),
        ];
        if (isCollectorFirst) both.reverse();
        await Promise.all(both.map((one) => one()));
        await query;
        for (const socket of idle) socket.destroy();
        device.note();
        await scene.restartCollector();
        log(`${stop + 1} stops, ${agents.text('agent')}, ${collectors.text('collector')}`);
      }
      const worstMs = Math.max(agents.worstMs, collectors.worstMs);
      if (worstMs > OUT_MS_MAX * patience) problems.push(`out after ${Math.round(worstMs / 1000)} s; at most 25`);
      const lost = scene
        .log('device')
        .filter(({ msg }) => msg === 'the agent has stopped')
        .reduce((sum, line) => sum + Number(line.lost), 0);
      if (lost !== 0) problems.push(`agents said that they lost ${lost} readings as they stopped`);
      await scene.settle('device', device.settings);
      const { counts, problems: wrong } = await device.compare();
      const figures = `${agents.text('agent')}; ${collectors.text('collector')}`;
      return { ...counts, problems: [...problems, ...wrong], figures };
    }),
};
