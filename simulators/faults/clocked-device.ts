import { type Agent, startAgent } from '@tributary/agent/agent';
import { agentSchema } from '@tributary/agent/config/schema';
import { loadConfig } from '@tributary/core/config/load-config';
import { createLogger } from '@tributary/core/log/logger';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { PseudoTerminal } from '../board/pseudo-terminal.js';
import { TcpProxy } from '../link/tcp-proxy.js';
import { Observer } from '../rig/observer.js';
import { Rig } from '../rig/rig.js';
import { until } from '../rig/until.js';
import { Machine } from '../time/machine.js';
import { readDeadBuffer } from './dead-buffer.js';
import type { FaultCounts } from './fault.js';
import { KEEP_ALL } from './numbered-device.js';

/** The board prints a number so often. */
const LINE_MS = 20;

/** A number that the board printed: in which boot, and when that truly was. */
interface Printed {
  boot: number;
  trueUs: number;
}

/** A number that the collector has, with the time that it gives it. */
export interface DatedReading extends Printed {
  number: number;
  eventUs: number;
  quality: number;
}

/**
 * A device whose clocks can be made to lie: the real agent in this process, with the clocks of a machine that it cannot tell
 * from a real one, and a board on a pseudo-terminal that prints numbers. Which number was printed when is noted outside.
 */
export class ClockedDevice {
  /** How far the device's world is behind the true time, in microseconds: boots of days ago take no days. */
  lagUs = 0;
  readonly machine = new Machine(() => this.trueUs());
  readonly #printed: Printed[] = [];
  readonly #terminal = new PseudoTerminal();
  #agent: Agent | undefined;
  #printing: NodeJS.Timeout | undefined;
  #boots = 0;

  constructor(
    readonly scene: ClockedScene,
    readonly name: string,
  ) {}

  get boots(): number {
    return this.#boots;
  }

  trueUs(): number {
    return Math.round((performance.timeOrigin + performance.now()) * 1000) - this.lagUs;
  }

  async boot(wallErrorUs: number): Promise<void> {
    const { rig, proxy } = this.scene;
    this.#boots++;
    this.machine.boot(wallErrorUs);
    const file = rig.agentConfig(this.name, proxy.port, {
      batching: { maxAge: '100ms', maxAgeOffline: '100ms' },
      sources: [{ type: 'serial', name: 'board', path: this.#terminal.path, format: 'json' }],
    });
    const log = createLogger('agent', 'silent');
    this.#agent = await startAgent(loadConfig(file, agentSchema), { log, clock: this.machine, host: this.machine });
    this.#printing = setInterval(() => this.#print(), LINE_MS);
  }

  /** Lets the board print for a while. */
  async run(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Stops the board, then the agent when it has taken all that was printed. */
  async halt(): Promise<void> {
    clearInterval(this.#printing);
    const agent = this.#agent;
    if (agent === undefined) return;
    await until('the agent has taken what the board has printed', async () => {
      const { readings } = await agent.status();
      const before = readings.taken + readings.pending;
      await this.run(3 * LINE_MS);
      const after = (await agent.status()).readings;
      return before === after.taken + after.pending;
    });
    this.#agent = undefined;
    await agent.stop();
  }

  /** Waits until nothing waits on the device any more. */
  async uploaded(): Promise<void> {
    clearInterval(this.#printing);
    await until('all is uploaded', async () => {
      const { buffer, readings, uplink } = await this.#agent!.status();
      return uplink.registrations > 0 && buffer.items === 0 && readings.pending === 0;
    });
    this.#printing = setInterval(() => this.#print(), LINE_MS);
  }

  /** What the collector has of it, in order of the numbers, and the counts. */
  async compare(): Promise<{ found: DatedReading[]; counts: FaultCounts; problems: string[] }> {
    const { observer, rig } = this.scene;
    const series = (await observer.readings(this.name)).get('n') ?? { timesUs: [], values: [], quality: [] };
    const found: DatedReading[] = [];
    const seen = new Set<number>();
    const produced = readDeadBuffer(rig.path(`${this.name}.db`)).readingsProduced;
    const counts = { produced, stored: 0, declared: 0, missing: 0, duplicates: 0, altered: 0 };
    for (const [at, number] of series.values.entries()) {
      const printed = this.#printed[number];
      if (printed === undefined) counts.altered++;
      else if (seen.has(number)) counts.duplicates++;
      else found.push({ ...printed, number, eventUs: series.timesUs[at]!, quality: series.quality[at]! });
      seen.add(number);
    }
    counts.stored = found.length;
    counts.missing = produced - found.length;
    const problems: string[] = [];
    const sums = await observer.sums(this.name);
    if (sums.stored !== found.length || sums.missing !== 0) {
      problems.push(`audit says ${sums.stored} stored and ${sums.missing} missing`);
    }
    return { found: found.sort((a, b) => a.number - b.number), counts, problems };
  }

  async close(): Promise<void> {
    clearInterval(this.#printing);
    await this.#agent?.stop();
    this.#terminal.close();
  }

  #print(): void {
    const number = this.#printed.length;
    this.#printed.push({ boot: this.#boots, trueUs: this.trueUs() });
    this.#terminal.write(`{"n":${number}}\n`);
  }
}

/** A collector of its own process, and a link to it that can be cut. */
export class ClockedScene {
  private constructor(
    readonly rig: Rig,
    readonly proxy: TcpProxy,
    readonly observer: Observer,
  ) {}

  /** `settings` of the collector, given the rig. */
  static async with<T>(
    name: string,
    settings: (rig: Rig) => Record<string, unknown>,
    act: (scene: ClockedScene) => Promise<T>,
  ): Promise<T> {
    const rig = await Rig.create(name);
    try {
      const { port } = await rig.collector({ ...KEEP_ALL, ...settings(rig) });
      const proxy = await TcpProxy.listen(port);
      const observer = new Observer(port, rig.operatorFiles);
      try {
        return await act(new ClockedScene(rig, proxy, observer));
      } finally {
        observer.close();
        await proxy.close();
      }
    } finally {
      await rig.close();
    }
  }

  async device<T>(name: string, act: (device: ClockedDevice) => Promise<T>): Promise<T> {
    await this.rig.device(name);
    const device = new ClockedDevice(this, name);
    try {
      return await act(device);
    } finally {
      await device.close();
      this.proxy.heal();
    }
  }

  cutLink(): void {
    this.proxy.set({ refuse: true });
    this.proxy.cut();
  }

  alerts(device: string): Promise<Alert[]> {
    return this.observer.alerts(device);
  }
}
