import { Chance } from './chance.js';
import { FAULTS, HEALTHY_MS, lasts } from './fault-kinds.js';
import type { SimAgent } from './sim-agent.js';
import type { SimClock } from './sim-clock.js';
import type { SimCollector } from './sim-collector.js';
import type { SimNetwork } from './sim-link.js';
import type { World } from './world.js';

/** What faults are done to. */
export interface Victims {
  world: World;
  network: SimNetwork;
  collectors: readonly SimCollector[];
  /** Machines with copied cards come to it. */
  agents: SimAgent[];
  /** Of the agents. */
  clocks: readonly SimClock[];
  collectorClock: SimClock;
  /** A second machine with a copy of that agent's card; undefined when there are enough. */
  clone(agent: SimAgent): SimAgent | undefined;
}

/** A fault that a seed brings: the same whichever others are left out. */
export interface PlannedFault {
  index: number;
  atMs: number;
  kind: string;
}

export interface FaultOptions {
  seed: number;
  /** Stream of random numbers of the plan, and of the clocks; faults have those from `stream` on, one each. */
  planStream: number;
  clockStream: number;
  stream: number;
  durationMs: number;
  areClocksSteady: boolean;
  /** Only these are done; undefined for all. */
  only: ReadonlySet<number> | undefined;
}

/** Between two faults. Many come while an earlier one lasts. */
const PAUSE_MS_MIN = 2000;
const PAUSE_MS_MAX = 320_000;

/** A wall clock without a battery starts in 1970; one that somebody set by hand is off by hours. */
const CLOCK_ERRORS_US = [0, 1e6, -1e6, 3.6e9, -3.6e9, 8.64e10, -8.64e10, -1.7e15, 9e14];

/** Of each kind of fault, this share of the seeds has it: what always comes together hides what each does alone. */
const KIND_SHARE = 0.6;

/** Breaks things at planned moments, until they are healed. */
export class Faults {
  /** How often devices could not reach a collector. */
  outages = 0;
  /** Faults that had an effect. */
  done = 0;
  readonly plan: readonly PlannedFault[];
  readonly #victims: Victims;
  readonly #options: FaultOptions;
  #isHealed = false;

  constructor(victims: Victims, options: FaultOptions) {
    this.#victims = victims;
    this.#options = options;
    this.plan = planned(options);
    for (const collector of victims.collectors) {
      collector.onEnd = (chance) => {
        this.outages++;
        this.after(lasts(chance), () => collector.start());
      };
    }
  }

  get victims(): Victims {
    return this.#victims;
  }

  start(): void {
    const { only, seed, stream } = this.#options;
    for (const { index, atMs, kind } of this.plan) {
      if (only !== undefined && !only.has(index)) continue;
      this.after(atMs, () => {
        const chance = new Chance(seed, stream + index);
        const what = FAULTS[kind](this, chance);
        if (what === undefined) return;
        this.done++;
        this.trace(`${index}: ${what}`);
      });
    }
    this.#nextClockStep(new Chance(seed, this.#options.clockStream));
  }

  /** Does something unless everything was healed before. */
  after(delayMs: number, act: () => void): void {
    this.#victims.world.schedule(delayMs, () => {
      if (!this.#isHealed) act();
    });
  }

  trace(what: string): void {
    this.#victims.world.trace('faults', what);
  }

  /** Ends every fault; what is down comes back. */
  heal(): void {
    const { world, network, collectors, agents } = this.#victims;
    world.trace('faults', 'healed');
    this.#isHealed = true;
    network.isDown = false;
    network.cutOff.clear();
    network.answersToLose = 0;
    network.stalledUntilMs = world.nowMs;
    network.delayMs = HEALTHY_MS;
    for (const collector of collectors) {
      collector.commitMs = { min: 1, max: 30 };
      collector.storeFault = undefined;
      collector.stepsToCrash = Number.POSITIVE_INFINITY;
      collector.onEnd = () => world.schedule(1000, () => collector.start());
      collector.thaw();
      collector.start();
    }
    for (const { table } of agents) table.faults.heal();
  }

  #nextClockStep(chance: Chance): void {
    const { clocks, collectorClock } = this.#victims;
    this.after(chance.magnitude(1000, 600_000), () => {
      const errorUs = chance.pick(CLOCK_ERRORS_US);
      const which = chance.whole(0, clocks.length);
      if (which === clocks.length) collectorClock.wallErrorUs = errorUs;
      else if (!this.#options.areClocksSteady) clocks[which].wallErrorUs = errorUs;
      this.#nextClockStep(chance);
    });
  }
}

function planned({ seed, planStream, durationMs }: FaultOptions): PlannedFault[] {
  const chance = new Chance(seed, planStream);
  const all = Object.keys(FAULTS);
  const some = all.filter(() => chance.is(KIND_SHARE));
  const kinds = some.length > 0 ? some : all;
  // Every seed has outages of some kind.
  if (!kinds.includes(all[0])) kinds.push(all[0]);
  const plan: PlannedFault[] = [];
  for (let atMs = 0; ; ) {
    atMs += chance.magnitude(PAUSE_MS_MIN, PAUSE_MS_MAX);
    if (atMs > durationMs) return plan;
    plan.push({ index: plan.length, atMs, kind: chance.pick(kinds) });
  }
}
