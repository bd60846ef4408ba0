import { BufferCore } from '@tributary/agent/buffer/buffer-core';
import type { UplinkLimits } from '@tributary/agent/uplink/uplink-limits';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { AgentProcess } from './agent-process.js';
import type { Chance } from './chance.js';
import type { Checker } from './checker.js';
import type { SimClock } from './sim-clock.js';
import type { SimNetwork } from './sim-link.js';
import { SERIES, type SimProducer } from './sim-producer.js';
import { PowerCut, WatchedTable } from './watched-table.js';
import type { World } from './world.js';

/** Makes a buffer of a table; a test may plant a bug here. */
export type OpenBuffer = (table: WatchedTable, quotaBytes: number, newEpoch: Uint8Array) => BufferCore;

export interface SimAgentOptions {
  name: string;
  world: World;
  network: SimNetwork;
  clock: SimClock;
  chance: Chance;
  checker: Checker;
  producer: SimProducer;
  /** Between two batches, on the average. */
  intervalMs: number;
  quotaBytes: number;
  limits: Partial<UplinkLimits>;
  openBuffer: OpenBuffer | undefined;
}

/** A machine that lost power starts again after this long. */
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 60_000;

/** The agent deletes what was acknowledged within so long, though nothing is appended. */
const TIDY_MS = 1000;

/** Readings are lost before they are in a batch, as when a queue is full, this often. */
const LOSS_SHARE = 0.01;
/** Several batches are closed at once, as when a disk was slow, this often. */
const BURST_SHARE = 0.1;

/** A device: a disk that stays, and a process on it that is killed and started again. */
export class SimAgent {
  readonly name: string;
  readonly table: WatchedTable;
  crashes = 0;
  /** There are new readings; set to false when the run is to drain. */
  isProducing = true;
  #process: AgentProcess | undefined;
  readonly #options: SimAgentOptions;

  constructor(options: SimAgentOptions) {
    this.#options = options;
    this.name = options.name;
    this.table = new WatchedTable((change) => options.checker.bufferCommitted(this.name, change));
  }

  /** That wait for an acknowledgement; undefined while the agent is down. */
  get itemsWaiting(): number | undefined {
    return this.#process?.buffer.status().itemsWaiting;
  }

  get uplinkState(): string {
    return this.#process?.uplinkState ?? 'down';
  }

  start(): void {
    if (this.#process !== undefined) return;
    let process: AgentProcess;
    try {
      process = this.#boot();
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.#down(`${error.message}, while it started`);
      return;
    }
    this.#process = process;
    const { itemsStored, highestSequence } = process.buffer.state;
    this.#options.world.trace(this.name, `starts with ${itemsStored} items, highest ${highestSequence}`);
    process.start();
    this.#tidy(process);
    this.#produce(process);
  }

  /** The power goes: only what was committed to the disk stays. Starts again by itself after a while. */
  crash(why: string): void {
    if (this.#process === undefined) return;
    this.#process.end();
    this.#process = undefined;
    this.#down(why);
  }

  #down(why: string): void {
    const { world, chance } = this.#options;
    world.trace(this.name, `crashes: ${why}`);
    this.crashes++;
    this.table.crash();
    world.schedule(chance.magnitude(RESTART_MS_MIN, RESTART_MS_MAX), () => this.start());
  }

  #boot(): AgentProcess {
    const { name, world, network, chance, clock, quotaBytes, limits, openBuffer } = this.#options;
    clock.boot();
    const open = openBuffer ?? ((table, quota, epoch) => new BufferCore(table, quota, epoch));
    const buffer = open(this.table, quotaBytes, chance.bytes(16));
    buffer.addSeries(SERIES);
    const monotonicUs = clock.monotonicUs();
    const segment = buffer.addSegment({
      bootId: Buffer.from(chance.bytes(8)).toString('hex'),
      offsetUs: clock.wallUs() - monotonicUs,
      observedAtUs: monotonicUs,
      uncertaintyUs: 1000,
      state: chance.pick([ClockState.SYNCHRONIZED, ClockState.ESTIMATED, ClockState.UNSYNCHRONIZED]),
    });
    const powerCut = (why: string) => this.crash(why);
    return new AgentProcess({ name, world, network, clock, chance, powerCut, table: this.table }, buffer, segment.id, {
      random: chance.random,
      startId: chance.bytes(16),
      agentVersion: 'simulation',
      attributes: { site: 'simulation' },
      identity: buffer.identity('clean'),
      limits,
    });
  }

  #produce(process: AgentProcess): void {
    const { world, chance, intervalMs } = this.#options;
    world.schedule(chance.between(0, 2 * intervalMs), () => this.#produced(process), process.life);
  }

  #produced(process: AgentProcess): void {
    if (!this.isProducing) return;
    const { chance, clock, producer } = this.#options;
    if (chance.is(LOSS_SHARE)) {
      const lost = producer.take(chance.whole(1, 5));
      process.append('declares a loss', [lost], (buffer) =>
        buffer.lose([{ readings: lost.readings, reason: LossReason.CRASH_WINDOW }]),
      );
    }
    const batches = Array.from({ length: chance.is(BURST_SHARE) ? chance.whole(2, 5) : 1 }, () =>
      producer.make(process.segment, clock.monotonicUs()),
    );
    process.append('appends', batches, (buffer) => {
      buffer.append(batches);
    });
    this.#produce(process);
  }

  #tidy(process: AgentProcess): void {
    const tidy = () => {
      process.disk((buffer) => {
        buffer.deleteAcknowledged();
        return undefined;
      });
      this.#tidy(process);
    };
    this.#options.world.schedule(TIDY_MS, tidy, process.life);
  }
}
