import { Watermark } from '@tributary/agent/runtime/watermark';
import type { UplinkLimits } from '@tributary/agent/uplink/uplink-limits';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { AgentProcess } from './agent-process.js';
import type { Chance } from './chance.js';
import type { Checker } from './checker.js';
import { FaultyTable, PowerCut } from './faulty-table.js';
import type { DiskLedger, Production } from './ledger.js';
import { isDiskFailure, type OpenBuffer, type Recovery, SimBuffer } from './sim-buffer.js';
import type { SimClock } from './sim-clock.js';
import type { SimNetwork } from './sim-link.js';
import { type MadeBatch, READINGS_MAX, SERIES, type SimProducer } from './sim-producer.js';
import type { World } from './world.js';

export interface SimAgentOptions {
  /** Of the machine. */
  name: string;
  /** What its certificate says; a machine with a copied card says the same. */
  device: string;
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
  openBuffer: OpenBuffer;
  /** Durability is deferred for so long; 0 for immediate. */
  lossWindowMs: number;
  /** Items wait in memory when the disk has refused for so long; undefined for never. */
  standbyAfterMs: number | undefined;
}

/** What lies on a disk, with what the checker knows of it. */
export interface DiskImage {
  table: FaultyTable;
  ledger: DiskLedger;
  /** What the next start finds out about a damaged disk; its mark goes where the disk goes. */
  recovery: Recovery | undefined;
}

/** A machine that lost power starts again after this long. */
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 60_000;

/** What the disk has refused is appended again after this long. */
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 5000;

/** Batches that wait in memory for the disk; beyond this readings are lost, and declared when it comes back. */
const PENDING_MAX = 8;

/** So many sequences may be used before a new mark is written. */
const MARK_SEQUENCES = 64;

/** The device says so with each append: at the most so many readings wait for the disk when it takes what it is given. */
const CRASH_BOUND = 128;

/** Readings are lost before they are in a batch, as when a queue is full, this often. */
const LOSS_SHARE = 0.01;
/** Several batches are closed at once, as when a disk was slow, this often. */
const BURST_SHARE = 0.1;

/** A device: a disk that stays, and a process on it that is killed and started again. */
export class SimAgent {
  readonly name: string;
  crashes = 0;
  standbys = 0;
  /** There are new readings; set to false when the run is to drain. */
  isProducing = true;
  #disk: DiskImage;
  #process: AgentProcess | undefined;
  #pending: MadeBatch[] = [];
  #overflow: Production[] = [];
  #isAppending = false;
  /** What this process has in memory while its disk is not used, or had. */
  #memories: DiskLedger[] = [];
  readonly #options: SimAgentOptions;

  /** `copied`: its disk is a copy of another; without it the disk is new. */
  constructor(options: SimAgentOptions, copied?: DiskImage) {
    this.#options = options;
    this.name = options.name;
    const ledger = copied?.ledger ?? options.checker.disk(options.device);
    if (copied !== undefined) options.checker.inserted(ledger);
    const table = copied?.table.copy() ?? new FaultyTable();
    this.#disk = { table, ledger, recovery: copied?.recovery };
  }

  get options(): Readonly<SimAgentOptions> {
    return this.#options;
  }

  get table(): FaultyTable {
    return this.#disk.table;
  }

  /** That wait for an acknowledgement, or for the disk; undefined while the agent is down. */
  get itemsWaiting(): number | undefined {
    if (this.#process === undefined) return undefined;
    const { last, itemsAside } = this.#process.buffer;
    return last.status().itemsWaiting + itemsAside + this.#pending.length + this.#overflow.length;
  }

  /** That its buffer has, on the disk or in front of it. */
  get itemsKept(): number {
    return (this.#process?.buffer.table ?? this.table).totals().items;
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
      if (!(error instanceof PowerCut) && !isDiskFailure(error)) throw error;
      this.#noteCrash([]);
      this.#down(`${error.message}, while it started`);
      return;
    }
    this.#process = process;
    const { itemsStored, highestSequence } = process.buffer.last.state;
    this.#options.world.trace(this.name, `starts with ${itemsStored} items, highest ${highestSequence}`);
    process.start();
    this.#produce(process);
  }

  /** The power goes: only what was committed to the disk stays. Starts again by itself after a while. */
  crash(why: string): void {
    if (this.#process === undefined) return;
    // What was produced while the disk was not used is more than usual.
    const { isOnStandby } = this.#process.buffer;
    this.#end(this.#process);
    this.#noteCrash([...this.#pending, ...this.#overflow], isOnStandby);
    this.#down(why);
  }

  /** The disk as it is now. The machine goes on. */
  image(): DiskImage {
    const { table, ledger, recovery } = this.#disk;
    return { table: table.copy(), ledger: this.#options.checker.copied(ledger, table.state()), recovery };
  }

  /** An image is put back: what was committed since then is gone. */
  restore(image: DiskImage): void {
    const { checker } = this.#options;
    const wasDown = this.#process === undefined;
    checker.destroyed(this.#disk.ledger);
    if (this.#process !== undefined) this.#end(this.#process);
    checker.inserted(image.ledger);
    this.#disk = { ...image, table: image.table.copy() };
    if (!wasDown) this.#down('an image is put back');
  }

  /**
   * The newest so many items are gone from the disk, as when the end of the buffer's log is lost; the mark beside it says
   * how far it may have come.
   */
  loseTail(items: number): void {
    if (this.#process !== undefined) this.crash('the end of its log is lost');
    const state = this.table.state();
    if (state === undefined) return;
    this.#disk.recovery = {
      reservedSequence: Math.max(state.highestSequence, state.reservedSequence) + MARK_SEQUENCES,
      reservedReadings: state.readingsProduced + state.reservedReadings + MARK_SEQUENCES * READINGS_MAX,
    };
    this.table.loseTail(items);
    this.#noteCrash([]);
  }

  /** With whatever it had in memory. */
  #end(process: AgentProcess): void {
    const newest = this.#memories.at(-1);
    if (process.buffer.isOnStandby && newest !== undefined) this.#options.checker.destroyed(newest);
    this.#memories = [];
    process.end();
    this.#process = undefined;
  }

  #down(why: string): void {
    const { world, chance } = this.#options;
    world.trace(this.name, `crashes: ${why}`);
    this.crashes++;
    this.#pending = [];
    this.#overflow = [];
    this.#isAppending = false;
    world.schedule(chance.magnitude(RESTART_MS_MIN, RESTART_MS_MAX), () => this.start());
  }

  /** What was in memory is gone. */
  #noteCrash(waiting: readonly Production[], isOnStandby = false): void {
    const { checker, lossWindowMs } = this.#options;
    const { table, ledger } = this.#disk;
    const hasRefused = table.faults.hasRefused || isOnStandby;
    table.crash();
    const isTailLost = this.#disk.recovery !== undefined;
    checker.crashed(ledger, { written: table.state(), waiting, hasRefused, isTailLost, lossWindowMs });
  }

  #boot(): AgentProcess {
    const { name, device, world, network, checker, chance, clock, quotaBytes, limits } = this.#options;
    const { lossWindowMs, standbyAfterMs } = this.#options;
    clock.boot();
    const { table: disk, ledger } = this.#disk;
    const buffer = new SimBuffer({
      disk,
      quotaBytes,
      watch: (change) => checker.bufferCommitted(ledger, change),
      newEpoch: () => chance.bytes(16),
      open: this.#options.openBuffer,
      deferred: lossWindowMs > 0 ? { lossWindowMs, nowMs: () => world.nowMs } : undefined,
      crashBound: CRASH_BOUND,
      recovery: this.#disk.recovery,
      standby:
        standbyAfterMs === undefined
          ? undefined
          : {
              afterMs: standbyAfterMs,
              nowMs: () => world.nowMs,
              begun: () => {
                world.trace(name, 'keeps items in memory, since its disk refuses');
                this.standbys++;
                const memory = checker.disk(device);
                this.#memories.push(memory);
                return (change) => checker.bufferCommitted(memory, change);
              },
            },
    });
    this.#disk.recovery = undefined;
    buffer.last.addSeries(SERIES);
    const monotonicUs = clock.monotonicUs();
    const segment = buffer.last.addSegment({
      bootId: Buffer.from(chance.bytes(8)).toString('hex'),
      offsetUs: clock.wallUs() - monotonicUs,
      observedAtUs: monotonicUs,
      uncertaintyUs: 1000,
      state: chance.pick([ClockState.SYNCHRONIZED, ClockState.ESTIMATED, ClockState.UNSYNCHRONIZED]),
    });
    const identity = buffer.last.identity('clean');
    const watermark = new Watermark(identity);
    const ledgerOf = (epoch: string) => this.#memories.find(({ epochs }) => epochs.has(epoch)) ?? ledger;
    const powerCut = (why: string) => this.crash(why);
    const machine = { name, device, world, network, clock, chance, powerCut, watermark, checker, ledgerOf };
    return new AgentProcess(machine, buffer, segment.id, {
      random: chance.random,
      startId: chance.bytes(16),
      agentVersion: 'simulation',
      attributes: { site: 'simulation' },
      identity,
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
    if (chance.is(LOSS_SHARE)) this.#overflow.push(producer.take(chance.whole(1, 5)));
    const count = chance.is(BURST_SHARE) ? chance.whole(2, 5) : 1;
    for (let batch = 0; batch < count; batch++) {
      const made = producer.make(process.segment, clock.monotonicUs());
      if (this.#pending.length < PENDING_MAX) this.#pending.push(made);
      else this.#overflow.push({ ...made, poison: undefined });
    }
    this.#append(process);
    this.#produce(process);
  }

  /** One append after the other, as the agent's writer does it. */
  #append(process: AgentProcess): void {
    if (this.#isAppending) return;
    const { world, chance } = this.#options;
    const done = (took: () => void) => (isDone: boolean) => {
      this.#isAppending = false;
      if (isDone) {
        took();
        this.#append(process);
      } else {
        const retryMs = chance.between(RETRY_MS_MIN, RETRY_MS_MAX);
        world.schedule(retryMs, () => this.#append(process), process.life);
      }
    };
    if (this.#overflow.length > 0) {
      this.#isAppending = true;
      const lost = [...this.#overflow];
      const losses = lost.map(({ readings }) => ({ readings, reason: LossReason.EVICTED }));
      process.append(
        'declares a loss',
        lost,
        (buffer) => buffer.run((core) => core.lose(losses)),
        done(() => this.#overflow.splice(0, lost.length)),
      );
    } else if (this.#pending.length > 0) {
      this.#isAppending = true;
      const batches = [...this.#pending];
      process.append(
        'appends',
        batches,
        (buffer) => process.appended(batches, buffer.append(batches, { crashBound: CRASH_BOUND }).sequences),
        done(() => {
          this.#pending.splice(0, batches.length);
          if (this.#pending.length === 0) process.written();
        }),
      );
    }
  }
}
