import { createHash } from 'node:crypto';
import { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { defaultIngestLimits, type IngestLimits } from '@tributary/collector/ingest/ingest-limits';
import type { Store } from '@tributary/collector/store/store';
import type { StoreError } from '@tributary/collector/store/store-error';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { checkAlerts } from './alert-checker.js';
import { Chance } from './chance.js';
import { Checker } from './checker.js';
import { Faults } from './faults.js';
import type { Fates } from './final-check.js';
import { SimAgent, type SimAgentOptions } from './sim-agent.js';
import type { OpenBuffer } from './sim-buffer.js';
import { SimClock } from './sim-clock.js';
import { DEVICES_MAX, SimCollector } from './sim-collector.js';
import { SimNetwork } from './sim-link.js';
import { SimProducer } from './sim-producer.js';
import { MemoryStore, type SimStore, type StoredItem } from './sim-store.js';
import { type Concerned, Violation } from './violation.js';
import { World } from './world.js';

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
  /** Only these agents take part, counted from 1; what the others would have done is left out. */
  agents?: readonly number[];
  /** Only these faults of the seed's plan are done. */
  faults?: readonly number[];
  /** So many of the newest lines of what happened are kept. */
  historyLines?: number;
  /** Whether rules are evaluated and checked; without it the seed decides. */
  areRulesEvaluated?: boolean;
  /** Stands between the rules and their store. */
  wrapRulesStore?: (store: Store) => Store;
}

/** What became of a seed. */
export interface RunResult {
  seed: number;
  steps: number;
  readings: number;
  outages: number;
  crashes: number;
  /** How often items waited in memory because a disk took none. */
  standbys: number;
  commits: number;
  /** That had an effect. */
  faults: number;
  /** Of the plan, and of the agents that the seed has: what can be left out when a failure is made smaller. */
  faultsPlanned: number;
  agents: number;
  /** Of the readings, see `Fates`; all 0 when the seed failed before its end. */
  stored: number;
  declared: number;
  destroyed: number;
  /** Items that the audits say were dropped. */
  duplicates: number;
  /** Of the rules, in a run in which they are evaluated. */
  incidents: number;
  simulatedMs: number;
  /** Of everything that happened, in order. */
  traceHash: string;
  /** Of what is stored: device, epoch, sequence, checksum and commit order. */
  identityHash: string;
  failure: SeedFailure | undefined;
}

export interface SeedFailure {
  invariant: string;
  detail: string;
  concerns: Concerned;
  /** When it was seen. */
  atMs: number;
  history: readonly string[];
}

export const DURATION_MS = 60 * 60_000;

/** In an hour at the least; a seed with fewer would show little. */
const FAULTS_MIN = 10;

/** After the healing: the longest back-off, twice over, and then as long again as draining can take. */
const DRAIN_MS_MAX = 2 * 3_600_000;

/** After everything was acknowledged: until orphaned streams are over and acknowledged rows are deleted. */
const REST_MS = 2 * 60_000;

/** Numbers of readings of each device begin at multiples of this. */
const NUMBERS_PER_DEVICE = 1e9;

/** Streams of random numbers. */
enum Stream {
  World = 0,
  Plan = 1,
  Clocks = 2,
  Standby = 3,
  Collector = 16,
  Network = 32,
  Agent = 64,
  Producer = 128,
  /** One each. */
  Fault = 1024,
}

/** A machine with a copied card draws from streams so far from its original's. */
const CLONE = 32;

const COLLECTORS_MAX = 3;

/** Rules are evaluated in each so many seeds: they cost three times as much again as everything else. */
const RULES_EVERY = 8;

/** Runs one seed from a healthy start through its faults to the check at the end. Never throws. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = new World(options.historyLines);
  const chance = new Chance(seed, Stream.World);
  const durationMs = options.durationMs ?? DURATION_MS;
  const checker = new Checker(world, options.isOnlyEndChecked ?? false);
  const store = new MemoryStore((device, epoch, item, isDuplicate) => {
    if (isDuplicate) checker.storeDropped(device, epoch, item);
    else checker.storeCommitted(device, epoch, item);
  });
  let machines = 0;
  const network = new SimNetwork(world, () => new Chance(seed, Stream.Network + machines++));
  const storePoison = new Set<string>();
  const collectorClock = new SimClock(world, 1);
  const limits = ingestLimits(chance);
  // Some stores are slow all the time: what waits for a commit is sent again by the next connection.
  const usualCommitMs = { min: 1, max: chance.magnitude(5, 5000) };
  const wrapped = options.wrapStore?.(store, world) ?? store;
  const followed = new Set<string>();
  const hasRules = options.areRulesEvaluated ?? seed % RULES_EVERY === 0;
  const wrapRules = options.wrapRulesStore ?? ((of: Store) => of);
  const rulesStore = hasRules ? (fault: () => StoreError | undefined) => wrapRules(store.following(fault)) : undefined;
  const collectors = Array.from({ length: chance.whole(1, COLLECTORS_MAX) }, (_, index) => {
    const own = { index, chance: new Chance(seed, Stream.Collector + index), clock: collectorClock, store: wrapped };
    return new SimCollector({
      ...own,
      world,
      network,
      checker,
      storePoison,
      limits,
      usualCommitMs,
      followed,
      rulesStore,
    });
  });
  const poisonShare = chance.is(0.5) ? chance.magnitude(0.001, 0.05) : 0;
  const clocks: SimClock[] = [];
  const standbyChance = new Chance(seed, Stream.Standby);
  const optionsOf = (at: number): SimAgentOptions => {
    const clock = new SimClock(world, 1 + chance.between(-5e-5, 5e-5));
    clocks.push(clock);
    const producer = new SimProducer(new Chance(seed, Stream.Producer + at), at * NUMBERS_PER_DEVICE, storePoison);
    producer.poisonShare = poisonShare;
    return {
      world,
      network,
      checker,
      clock,
      producer,
      name: `agent-${at + 1}`,
      device: `agent-${at + 1}`,
      chance: new Chance(seed, Stream.Agent + at),
      intervalMs: chance.magnitude(6000, 60_000),
      // From less than a stream to more than an outage fills.
      quotaBytes: Math.round(chance.magnitude(4 * 1024, 256 * 1024)),
      limits: {
        messageBytesMax: Math.round(chance.magnitude(256, 8192)),
        streamBytesMax: Math.round(chance.magnitude(8192, 65_536)),
        liveBacklogBytes: Math.round(chance.magnitude(512, 65_536)),
        readItemsMax: chance.whole(1, 64),
        // Half of the agents keep their streams open.
        lingerMs: chance.whole(0, 1) * Math.round(chance.magnitude(100, 5000)),
      },
      openBuffer: options.openBuffer ?? openBuffer(chance),
      // Some devices spare their flash.
      lossWindowMs: chance.is(0.4) ? Math.round(chance.magnitude(1000, 60_000)) : 0,
      standbyAfterMs: standbyChance.is(0.5) ? Math.round(standbyChance.magnitude(100, 10_000)) : undefined,
    };
  };
  const all = Array.from({ length: chance.whole(1, DEVICES_MAX) }, (_, at) => optionsOf(at));
  const agents = all
    .filter((_, at) => options.agents?.includes(at + 1) ?? true)
    .map((agentOptions) => new SimAgent(agentOptions));
  const clone = (agent: SimAgent): SimAgent | undefined => {
    const at = all.indexOf(agent.options) + CLONE;
    const name = `${agent.name}-copy`;
    if (at < CLONE || agents.some((each) => each.name === name)) return undefined;
    const clock = new SimClock(world, 1);
    const producer = new SimProducer(new Chance(seed, Stream.Producer + at), at * NUMBERS_PER_DEVICE, storePoison);
    const own = { name, clock, producer, chance: new Chance(seed, Stream.Agent + at) };
    const copy = new SimAgent({ ...agent.options, ...own }, agent.image());
    agents.push(copy);
    return copy;
  };
  const victims = { world, network, collectors, agents, clocks, collectorClock, clone };
  const faults = new Faults(victims, {
    seed,
    planStream: Stream.Plan,
    clockStream: Stream.Clocks,
    stream: Stream.Fault,
    durationMs,
    areClocksSteady: options.areClocksSteady ?? false,
    only: options.faults === undefined ? undefined : new Set(options.faults),
  });
  let stored: StoredItem[] = [];
  let audits: EpochAudit[] = [];
  let fates: Fates = { stored: 0, declared: 0, destroyed: 0 };
  let incidents = 0;
  let failure: SeedFailure | undefined;
  try {
    for (const collector of collectors) collector.start();
    for (const agent of agents) agent.start();
    faults.start();
    await world.run(durationMs);
    faults.heal();
    for (const agent of agents) {
      agent.isProducing = false;
      agent.start();
    }
    const isDrained = () =>
      agents.every(({ uplinkState }) => uplinkState === 'idle') && agents.every((agent) => agent.itemsWaiting === 0);
    if (!(await world.run(world.nowMs + DRAIN_MS_MAX, isDrained))) {
      const waiting = agents.map((agent) => `${agent.name} ${agent.uplinkState} ${agent.itemsWaiting} items`);
      throw new Violation('I2', `not everything drained after the healing: ${waiting.join(', ')}`);
    }
    await world.run(world.nowMs + REST_MS);
    checkRest(collectors, agents);
    stored = store.stored();
    audits = store.audit();
    fates = checker.finish(stored, audits);
    if (hasRules) {
      for (const { derived } of collectors) await derived?.settle();
      incidents = await checkAlerts(
        store.following(() => undefined),
        stored,
      );
    }
    if (durationMs >= DURATION_MS && options.faults === undefined && faults.done < FAULTS_MIN) {
      throw new Violation('simulation', `only ${faults.done} faults had an effect`);
    }
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
    standbys: agents.reduce((sum, agent) => sum + agent.standbys, 0),
    commits: collectors.reduce((sum, { commits }) => sum + commits, 0),
    faults: faults.done,
    faultsPlanned: faults.plan.length,
    agents: all.length,
    ...fates,
    incidents,
    duplicates: audits.reduce((sum, { duplicatesDropped }) => sum + duplicatesDropped, 0),
    simulatedMs: Math.round(world.nowMs),
    traceHash: world.hash(),
    identityHash: identityHash(stored),
  };
}

/** Half of the agents thin what is too much before they drop it. */
function openBuffer(chance: Chance): OpenBuffer {
  const windowMs = chance.whole(0, 1) * Math.round(chance.magnitude(1000, 600_000));
  return (table, quotaBytes, newEpoch) => new BufferCore(table, quotaBytes, newEpoch, windowMs);
}

/** When nothing happens, nothing is held: what leaks would end a collector or fill a device after weeks. */
function checkRest(collectors: readonly SimCollector[], agents: readonly SimAgent[]): void {
  for (const { name, inFlightBytes } of collectors) {
    if (inFlightBytes !== 0) throw new Violation('I5', `${name} still counts ${inFlightBytes} bytes in flight`);
  }
  for (const { name, itemsKept } of agents) {
    if (itemsKept !== 0) throw new Violation('I5', `${name} still has ${itemsKept} items in its buffer`);
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

function failureOf(error: unknown, world: World): SeedFailure {
  const { history, nowMs: atMs } = world;
  if (error instanceof Violation) {
    return { invariant: error.invariant, detail: error.message, concerns: error.concerns, atMs, history };
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { invariant: 'bug', detail, concerns: {}, atMs, history };
}

function identityHash(stored: readonly StoredItem[]): string {
  const hash = createHash('sha256');
  for (const { device, epoch, position, item } of stored) {
    hash.update(`${device} ${epoch} ${position} ${item.sequence} ${item.kind} ${item.checksum}\n`);
  }
  return hash.digest('hex');
}
