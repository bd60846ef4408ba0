import type { Buffer as EdgeBuffer } from '@tributary/agent/buffer/buffer';
import { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { MemoryItemTable } from '@tributary/agent/buffer/memory-item-table';
import { AgentCatalogue } from '@tributary/agent/runtime/agent-catalogue';
import { SegmentKeeper } from '@tributary/agent/runtime/segment-keeper';
import { Registration } from '@tributary/agent/uplink/registration';
import { EpochSession } from '@tributary/collector/ingest/device-session';
import { IngestCounters } from '@tributary/collector/ingest/ingest-counters';
import { defaultIngestLimits } from '@tributary/collector/ingest/ingest-limits';
import { register } from '@tributary/collector/ingest/register';
import { writerOperations } from '@tributary/collector/store/sqlite/engine';
import { openMemory } from '@tributary/collector/store/sqlite/schema';
import type { Quality, RegisteredDevice } from '@tributary/collector/store/store';
import { systemScheduler } from '@tributary/core/clock/clock';
import type { ClockObservation } from '@tributary/core/clock/clock-observation';
import type { Random } from '@tributary/core/clock/random';
import { createLogger } from '@tributary/core/log/logger';
import { Machine } from './machine.js';

const log = createLogger('agent', 'silent');

/** Reading and event time, and what became of them at the collector. */
export interface TimedReading {
  number: number;
  boot: number;
  segment: number;
  lineUs: number;
  trueUs: number;
  eventUs: number | undefined;
  quality: Quality | undefined;
}

/**
 * A device and a collector as far as time goes: the agent's keeper, catalogue and buffer, the collector's registration and
 * resolution, without a network between them. A reading is dated when it is uploaded, once.
 */
export class TimedDevice {
  trueUs = 1_800_000_000_000_000;
  readonly readings: TimedReading[] = [];
  readonly machine = new Machine(() => this.trueUs);
  readonly #random: Random;
  readonly #table = new MemoryItemTable();
  readonly #operations = writerOperations(openMemory());
  #core = new BufferCore(this.#table, 1e9, new Uint8Array(16).fill(1));
  #catalogue: AgentCatalogue;
  #keeper: SegmentKeeper;
  #registration: Registration;
  #boot = 0;
  #waiting: TimedReading[] = [];
  exchanges = 0;

  constructor(random: Random) {
    this.#random = random;
    [this.#catalogue, this.#keeper, this.#registration] = this.#parts();
  }

  get segments(): number {
    return this.#catalogue.segments.length;
  }

  get anchors(): number {
    return this.#catalogue.anchors.length;
  }

  /** The machine boots, and the agent starts. */
  async boot(wallErrorUs: number): Promise<void> {
    this.#boot++;
    this.machine.boot(wallErrorUs, 1 + (this.#random() - 0.5) * 100e-6);
    this.trueUs += 1_000_000 + Math.floor(this.#random() * 20_000_000);
    await this.start();
  }

  /** The agent starts in the boot that is. */
  async start(): Promise<void> {
    this.#table.crash();
    this.#core = new BufferCore(this.#table, 1e9, new Uint8Array(16).fill(1));
    [this.#catalogue, this.#keeper, this.#registration] = this.#parts();
    await this.#keeper.begin();
  }

  /** Takes a reading every few seconds, each a batch of its own, and looks at the clocks with each. */
  async run(seconds: number): Promise<void> {
    const untilUs = this.trueUs + seconds * 1e6;
    while (this.trueUs < untilUs) {
      this.trueUs += Math.floor((0.2 + this.#random() * 9) * 1e6);
      const lineUs = this.machine.monotonicUs();
      const reading: TimedReading = {
        number: this.readings.length,
        boot: this.#boot,
        segment: this.#keeper.id,
        lineUs,
        trueUs: this.trueUs,
        eventUs: undefined,
        quality: undefined,
      };
      this.readings.push(reading);
      this.#waiting.push(reading);
      const line = { segment: reading.segment, us: lineUs };
      this.#core.append([{ body: new Uint8Array(8), readings: 1 }], undefined, { line });
      await this.look();
    }
  }

  async look(): Promise<void> {
    this.#keeper.look();
    // What it writes is written by the time that everything that waits has had its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The machine sleeps; the agent looks at the clocks when it wakes. */
  async sleep(seconds: number): Promise<void> {
    this.trueUs += seconds * 1e6;
    this.machine.slept(seconds * 1e6);
    await this.look();
  }

  /** Registers and uploads all that waits, as a session begins. */
  async connect(): Promise<void> {
    const session = await this.#register();
    for (const reading of this.#waiting.splice(0)) {
      const clock = session.clockAt(reading.segment, reading.lineUs) as ClockObservation;
      reading.eventUs = reading.lineUs + clock.offsetUs;
      reading.quality = clock.state;
    }
  }

  async #register(): Promise<EpochSession> {
    this.#registration.catalogue(this.#catalogue);
    for (let page = 0; ; page++) {
      const request = this.#registration.request(undefined);
      request.monotonicUs = this.machine.monotonicUs();
      request.segment = this.#keeper.id;
      this.trueUs += Math.floor(this.#random() * 200_000);
      let device: RegisteredDevice | undefined;
      const result = await register(
        {
          store: { register: async (registration) => this.#operations.register(registration) },
          clock: { wallUs: () => this.trueUs, monotonicUs: () => this.trueUs },
          core: {
            counters: new IngestCounters(),
            registered: (_, registered) => {
              device = registered;
            },
          },
          limits: defaultIngestLimits,
        },
        { tenant: '', device: 'd' },
        request,
      );
      if (result.outcome !== 'registered' || device === undefined) throw new Error(JSON.stringify(result));
      this.trueUs += Math.floor(this.#random() * 200_000);
      this.exchanges++;
      await this.#keeper.compared({
        sentUs: request.monotonicUs,
        answeredUs: this.machine.monotonicUs(),
        collectorReceivedUs: result.response.receivedAtUs,
        collectorSentUs: result.response.sentAtUs,
      });
      this.#registration.catalogue(this.#catalogue);
      const answer = this.#registration.answered(result.response, page);
      if (answer === 'stuck') throw new Error('the collector does not take the catalogue');
      if (answer === 'complete') return new EpochSession(device.epochs[0]);
    }
  }

  #parts(): [AgentCatalogue, SegmentKeeper, Registration] {
    const core = this.#core;
    const identity = core.identity('clean');
    const buffer = {
      identity,
      addSegment: async (segment: Parameters<EdgeBuffer['addSegment']>[0]) => core.addSegment(segment),
      addAnchor: async (anchor: Parameters<EdgeBuffer['addAnchor']>[0]) => core.addAnchor(anchor),
    } as unknown as EdgeBuffer;
    const catalogue = new AgentCatalogue(identity, {
      buffer,
      scheduler: systemScheduler,
      random: this.#random,
      log,
      changed: () => {},
    });
    const { machine } = this;
    const keeper = new SegmentKeeper({ catalogue, clock: machine, host: machine, log, line: () => identity.line });
    const startId = Uint8Array.from({ length: 16 }, () => Math.floor(this.#random() * 256));
    const registration = new Registration({ startId, agentVersion: '0', attributes: {} }, identity, 8192);
    return [catalogue, keeper, registration];
  }
}
