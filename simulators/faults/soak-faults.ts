import type { Random } from '@tributary/core/clock/random';
import type { Scene } from '../e2e/scene.js';
import type { NumberedDevice } from './numbered-device.js';

/**
 * What a soak does to the system; each is over, and its processes run again, when it resolves. `lasting` waits for as long
 * as a fault that lasts is to last.
 */
export interface SoakFault {
  name: string;
  /** Ends the collector, which is left alone while its memory is measured. */
  endsCollector?: boolean;
  strike(scene: Scene, devices: readonly NumberedDevice[], random: Random, lasting: () => Promise<void>): Promise<void>;
}

const one = <T>(from: readonly T[], random: Random) => from[Math.floor(random() * from.length)]!;

export const soakFaults: readonly SoakFault[] = [
  {
    name: 'agent killed',
    strike: async (_scene, devices, random) => {
      const device = one(devices, random);
      await device.kill();
      await device.start();
    },
  },
  {
    name: 'agent stopped in order',
    strike: async (scene, devices, random) => {
      const device = one(devices, random);
      await scene.stopAgent(device.name);
      device.note();
      await device.start();
    },
  },
  {
    name: 'agent frozen',
    strike: async (scene, devices, random, lasting) => {
      const agent = scene.agentProcess(one(devices, random).name);
      agent.signal('SIGSTOP');
      await lasting();
      agent.signal('SIGCONT');
    },
  },
  {
    name: 'collector killed',
    endsCollector: true,
    strike: async (scene) => {
      await scene.killCollector();
      await scene.restartCollector();
    },
  },
  {
    name: 'collector restarted',
    endsCollector: true,
    strike: async (scene) => {
      await scene.stopCollector();
      await scene.restartCollector();
    },
  },
  {
    name: 'collector frozen',
    strike: async (scene, _devices, _random, lasting) => {
      scene.collectorProcess.signal('SIGSTOP');
      await lasting();
      scene.collectorProcess.signal('SIGCONT');
    },
  },
  {
    name: 'link down',
    strike: async (scene, _devices, _random, lasting) => {
      scene.cutLink();
      await lasting();
      scene.proxy.heal();
    },
  },
  {
    name: 'link silent',
    strike: async (scene, _devices, random, lasting) => {
      scene.proxy.set({ stalled: true });
      await lasting();
      if (random() < 0.5) scene.proxy.cut();
      scene.proxy.heal();
    },
  },
  {
    name: 'answers lost',
    strike: async (scene, _devices, _random, lasting) => {
      scene.proxy.set({ dropDown: true });
      await lasting();
      scene.proxy.cut();
      scene.proxy.heal();
    },
  },
  {
    name: 'connections reset',
    strike: async (scene, _devices, random, lasting) => {
      scene.proxy.set({ resetAfterBytesUp: Math.ceil(200_000 ** random()) });
      await lasting();
      scene.proxy.heal();
    },
  },
  {
    name: 'late packets',
    strike: async (scene, _devices, _random, lasting) => {
      scene.proxy.set({ stalled: true });
      await lasting();
      scene.proxy.strand();
      scene.proxy.heal();
      await lasting();
      scene.proxy.deliverStranded();
    },
  },
  {
    name: 'long thin link',
    strike: async (scene, _devices, _random, lasting) => {
      scene.proxy.set({ delayMs: 150, bitsPerSecond: 200_000 });
      await lasting();
      scene.proxy.heal();
    },
  },
];
