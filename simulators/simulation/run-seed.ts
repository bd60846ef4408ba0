import { createHash } from 'node:crypto';
import { defaultIngestLimits, type IngestLimits } from '@tributary/collector/ingest/ingest-limits';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { Chance } from './chance.js';
import { Checker } from './checker.js';
import { Faults } from './faults.js';
import { type OpenBuffer, SimAgent } from './sim-agent.js';
import { SimClock } from './sim-clock.js';
import { DEVICES_MAX, SimCollector } from './sim-collector.js';
import { SimNetwork } from './sim-link.js';
import { SimProducer } from './sim-producer.js';
import { MemoryStore, type SimStore, type StoredItem } from './sim-store.js';
import { Violation, World } from './world.js';

/** What a test may change of a run. */
export interface RunOptions {
  /** Simulated time with faults. */
  durationMs?: number;
  /** The devices' wall clocks are right and stay so; everything else is as in the run without this. */
  areClocksSteady?: boolean;
  /** Only the check at the end, as if the steps between could not be seen. */
  isOnlyEndChecked?: boolean;
  /** Stands between the collector and its store. */
  wrapStore?: (store: MemoryStore, world: World) => SimStore;
  openBuffer?: OpenBuffer;
}

/** What became of a seed. */
export interface RunResult {
  seed: number;
  steps: number;
  readings: number;
  outages: number;
  crashes: number;
  commits: number;
  /** Readings that the device gave up and declared: evicted, refused or lost before the buffer. */
  declared: number;
  duplicates: number;
  simulatedMs: number;
  /** Of everything that happened, in order. */
  traceHash: string;
  /** Of what is stored: device, epoch, sequence, checksum and commit order. */
  identityHash: string;
  failure: { invariant: string; detail: string; history: readonly string[] } | undefined;
}

const DURATION_MS = 30 * 60_000;

/** After the healing: the longest back-off, twice over, and then as long again as draining can take. */
const DRAIN_MS_MAX = 2 * 3_600_000;

/** After everything was acknowledged: until orphaned streams are over and acknowledged rows are deleted. */
const REST_MS = 2 * 60_000;

/** Numbers of readings of each device begin at multiples of this. */
const NUMBERS_PER_DEVICE = 1e9;

/** Streams of random numbers. */
enum Stream {
  World = 0,
  Network = 1,
  Collector = 2,
  Faults = 3,
  Clocks = 4,
  Agent = 16,
  Producer = 256,
}

/** Runs one seed from a healthy start through its faults to the check at the end. Never throws. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = new World();
  const chance = new Chance(seed, Stream.World);
  const checker = new Checker(options.isOnlyEndChecked ?? false);
  const store = new MemoryStore((device, epoch, item) => checker.storeCommitted(device, epoch, item));
  const network = new SimNetwork(world, new Chance(seed, Stream.Network));
  const storePoison = new Set<string>();
  const collectorClock = new SimClock(world, 1);
  const collector = new SimCollector({
    world,
    network,
    checker,
    storePoison,
    clock: collectorClock,
    chance: new Chance(seed, Stream.Collector),
    store: options.wrapStore?.(store, world) ?? store,
    limits: ingestLimits(chance),
    // Some stores are slow all the time: what waits for a commit is sent again by the next connection.
    usualCommitMs: { min: 1, max: chance.magnitude(5, 5000) },
  });
  const poisonShare = chance.is(0.5) ? chance.magnitude(0.001, 0.05) : 0;
  const clocks: SimClock[] = [];
  const agents = Array.from({ length: chance.whole(1, DEVICES_MAX) }, (_, at) => {
    const clock = new SimClock(world, 1 + chance.between(-5e-5, 5e-5));
    clocks.push(clock);
    const producer = new SimProducer(new Chance(seed, Stream.Producer + at), at * NUMBERS_PER_DEVICE, storePoison);
    producer.poisonShare = poisonShare;
    return new SimAgent({
      world,
      network,
      checker,
      clock,
      producer,
      name: `agent-${at + 1}`,
      chance: new Chance(seed, Stream.Agent + at),
      intervalMs: chance.magnitude(300, 10_000),
      // From less than a stream to more than an outage fills.
      quotaBytes: Math.round(chance.magnitude(8 * 1024, 1024 * 1024)),
      limits: {
        messageBytesMax: Math.round(chance.magnitude(256, 8192)),
        streamBytesMax: Math.round(chance.magnitude(8192, 65_536)),
        liveBacklogBytes: Math.round(chance.magnitude(512, 262_144)),
        readItemsMax: chance.whole(1, 64),
        // Half of the agents keep their streams open.
        lingerMs: chance.whole(0, 1) * Math.round(chance.magnitude(100, 5000)),
      },
      openBuffer: options.openBuffer,
    });
  });
  const victims = { world, network, collector, agents, clocks, collectorClock };
  const faults = new Faults(
    victims,
    new Chance(seed, Stream.Faults),
    new Chance(seed, Stream.Clocks),
    options.areClocksSteady ?? false,
  );
  let stored: StoredItem[] = [];
  let audits: EpochAudit[] = [];
  let failure: RunResult['failure'];
  try {
    collector.start();
    for (const agent of agents) agent.start();
    faults.start();
    await world.run(options.durationMs ?? DURATION_MS);
    faults.heal();
    for (const agent of agents) agent.isProducing = false;
    const isDrained = () =>
      agents.every(({ uplinkState }) => uplinkState === 'idle') && agents.every((agent) => agent.itemsWaiting === 0);
    if (!(await world.run(world.nowMs + DRAIN_MS_MAX, isDrained))) {
      const waiting = agents.map((agent) => `${agent.name} ${agent.uplinkState} ${agent.itemsWaiting} items`);
      throw new Violation('I2', `not everything drained after the healing: ${waiting.join(', ')}`);
    }
    await world.run(world.nowMs + REST_MS);
    checkRest(collector, agents);
    stored = store.stored();
    audits = store.audit();
    checker.finish(stored, audits);
  } catch (error) {
    failure = failureOf(error, world);
  }
  store.close();
  return {
    seed,
    failure,
    steps: world.steps,
    readings: checker.readings,
    outages: faults.outages,
    crashes: agents.reduce((sum, agent) => sum + agent.crashes, 0),
    commits: collector.commits,
    declared: audits.reduce((sum, { declared }) => sum + declared.reduce((all, { readings }) => all + readings, 0), 0),
    duplicates: audits.reduce((sum, { duplicatesDropped }) => sum + duplicatesDropped, 0),
    simulatedMs: Math.round(world.nowMs),
    traceHash: world.hash(),
    identityHash: identityHash(stored),
  };
}

/** When nothing happens, nothing is held: what leaks would end a collector or fill a device after weeks. */
function checkRest(collector: SimCollector, agents: readonly SimAgent[]): void {
  if (collector.inFlightBytes !== 0) {
    throw new Violation('I5', `the collector still counts ${collector.inFlightBytes} bytes in flight`);
  }
  for (const { name, table } of agents) {
    const { items, readings } = table.totals();
    if (items !== 0) throw new Violation('I5', `${name} still has ${items} items, ${readings} readings, on its disk`);
  }
}

/** Half of the seeds run a collector that is short of everything, so that it pushes back. */
function ingestLimits(chance: Chance): IngestLimits {
  if (chance.is(0.5)) return defaultIngestLimits;
  return {
    ...defaultIngestLimits,
    itemBytesMax: 16_384,
    messageBytesMax: 32_768,
    streamBytesMax: 32_768,
    streamItemsMax: chance.whole(4, 64),
    deviceInFlightBytesMax: 32_768,
    inFlightBytesMax: 49_152,
    commitItemsMax: chance.whole(1, 16),
    commitBytesMax: 8192,
    devicesMax: chance.whole(1, DEVICES_MAX),
  };
}

function failureOf(error: unknown, world: World): RunResult['failure'] {
  const { history } = world;
  if (error instanceof Violation) return { invariant: error.invariant, detail: error.message, history };
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { invariant: 'bug', detail, history };
}

function identityHash(stored: readonly StoredItem[]): string {
  const hash = createHash('sha256');
  for (const { device, epoch, position, item } of stored) {
    hash.update(`${device} ${epoch} ${position} ${item.sequence} ${item.kind} ${item.checksum} ${item.lane}\n`);
  }
  return hash.digest('hex');
}
