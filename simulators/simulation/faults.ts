import type { Chance } from './chance.js';
import type { SimAgent } from './sim-agent.js';
import type { SimClock } from './sim-clock.js';
import type { SimCollector } from './sim-collector.js';
import type { SimNetwork } from './sim-link.js';
import type { World } from './world.js';

/** What faults are done to. */
export interface Victims {
  world: World;
  network: SimNetwork;
  collector: SimCollector;
  agents: readonly SimAgent[];
  /** Of the agents. */
  clocks: readonly SimClock[];
  collectorClock: SimClock;
}

/** Between two faults. Many come while an earlier one lasts. */
const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 40_000;

/** From a cell handover to a router that somebody has to restart. */
const OUTAGE_MS_MIN = 300;
const OUTAGE_MS_MAX = 180_000;

/** A wall clock without a battery starts in 1970; one that somebody set by hand is off by hours. */
const CLOCK_ERRORS_US = [0, 1e6, -1e6, 3.6e9, -3.6e9, 8.64e10, -8.64e10, -1.7e15, 9e14];

/** Breaks things at random moments, until they are healed. */
export class Faults {
  /** How often devices could not reach the collector. */
  outages = 0;
  readonly #victims: Victims;
  readonly #chance: Chance;
  /** Draws of its own, so that a run with steady clocks is the same in everything else. */
  readonly #clockChance: Chance;
  readonly #areClocksSteady: boolean;
  readonly #faults: readonly (() => void)[];
  #isHealed = false;

  constructor(victims: Victims, chance: Chance, clockChance: Chance, areClocksSteady: boolean) {
    this.#victims = victims;
    this.#chance = chance;
    this.#clockChance = clockChance;
    this.#areClocksSteady = areClocksSteady;
    // Each seed leaves some faults out: what always comes together hides what each does alone.
    const all = [
      () => this.#networkDown(),
      () => this.#deviceCutOff(),
      () => this.#collectorDown(),
      () => this.#collectorStops(),
      () => this.#collectorCrashesInCommit(),
      () => this.#connectionsCut(),
      () => this.#answersLost(),
      () => this.#stall(),
      () => this.#slow(),
      () => this.#commitOutlivesConnections(),
      () => this.#storeFails(),
      () => this.#agentCrashes(),
      () => this.#powerCutDuringWrite(),
      () => this.#diskDamage(),
    ];
    const some = all.filter(() => chance.is(0.7));
    this.#faults = some.length > 0 ? some : all;
    // Every seed has outages of some kind.
    if (!this.#faults.includes(all[0])) this.#faults = [...this.#faults, all[0]];
    victims.collector.onEnd = () => {
      if (!this.#isHealed) this.#collectorRestarts();
    };
  }

  start(): void {
    this.#next();
    this.#nextClockStep();
  }

  /** Ends every fault; what is down comes back. */
  heal(): void {
    const { world, network, collector, agents } = this.#victims;
    world.trace('faults', 'healed');
    this.#isHealed = true;
    network.isDown = false;
    network.cutOff.clear();
    network.answersToLose = 0;
    network.stalledUntilMs = world.nowMs;
    network.delayMs = { min: 1, max: 30 };
    collector.commitMs = { min: 1, max: 30 };
    collector.storeFault = undefined;
    collector.stepsToCrash = Number.POSITIVE_INFINITY;
    collector.onEnd = () => world.schedule(1000, () => collector.start());
    collector.start();
    for (const { table } of agents) {
      table.power.writesLeft = Number.POSITIVE_INFINITY;
      table.power.isToFailAfterCommit = false;
    }
  }

  #next(): void {
    const pauseMs = this.#chance.magnitude(PAUSE_MS_MIN, PAUSE_MS_MAX);
    this.#victims.world.schedule(pauseMs, () => {
      if (this.#isHealed) return;
      this.#chance.pick(this.#faults)();
      this.#next();
    });
  }

  #nextClockStep(): void {
    const chance = this.#clockChance;
    const { world, clocks, collectorClock } = this.#victims;
    world.schedule(chance.magnitude(1000, 300_000), () => {
      if (this.#isHealed) return;
      const errorUs = chance.pick(CLOCK_ERRORS_US);
      const which = chance.whole(0, clocks.length);
      if (which === clocks.length) collectorClock.wallErrorUs = errorUs;
      else if (!this.#areClocksSteady) clocks[which].wallErrorUs = errorUs;
      this.#nextClockStep();
    });
  }

  #after(delayMs: number, act: () => void): void {
    this.#victims.world.schedule(delayMs, () => {
      if (!this.#isHealed) act();
    });
  }

  #lasts(): number {
    return this.#chance.magnitude(OUTAGE_MS_MIN, OUTAGE_MS_MAX);
  }

  #agent(): SimAgent {
    return this.#chance.pick(this.#victims.agents);
  }

  #trace(what: string): void {
    this.#victims.world.trace('faults', what);
  }

  #networkDown(): void {
    const { network } = this.#victims;
    if (network.isDown) return;
    this.outages++;
    this.#trace('the network is down');
    network.isDown = true;
    network.cut(this.#chance.is(0.5));
    this.#after(this.#lasts(), () => {
      this.#trace('the network is back');
      network.isDown = false;
    });
  }

  #deviceCutOff(): void {
    const { network } = this.#victims;
    const { name } = this.#agent();
    if (network.cutOff.has(name)) return;
    this.outages++;
    this.#trace(`${name} is cut off`);
    network.cutOff.add(name);
    network.cut(this.#chance.is(0.5), name);
    this.#after(this.#lasts(), () => network.cutOff.delete(name));
  }

  #collectorDown(): void {
    this.#victims.collector.crash('killed');
  }

  #collectorStops(): void {
    this.#victims.collector.stop();
  }

  #collectorCrashesInCommit(): void {
    this.#victims.collector.stepsToCrash = this.#chance.whole(1, 12);
  }

  #collectorRestarts(): void {
    this.outages++;
    this.#after(this.#lasts(), () => this.#victims.collector.start());
  }

  #connectionsCut(): void {
    const { network } = this.#victims;
    network.cut(this.#chance.is(0.5), this.#chance.is(0.5) ? this.#agent().name : undefined);
  }

  #answersLost(): void {
    this.#victims.network.answersToLose = this.#chance.whole(1, 6);
  }

  #stall(): void {
    const { world, network } = this.#victims;
    network.stalledUntilMs = world.nowMs + this.#chance.magnitude(100, 60_000);
  }

  #slow(): void {
    const { network, collector } = this.#victims;
    network.delayMs = { min: 100, max: this.#chance.magnitude(200, 8000) };
    collector.commitMs = { min: 10, max: this.#chance.magnitude(20, 40_000) };
    this.#after(this.#lasts(), () => {
      network.delayMs = { min: 1, max: 30 };
      collector.commitMs = undefined;
    });
  }

  /** The devices come back before what they sent is committed, and send it again: only the store can tell. */
  #commitOutlivesConnections(): void {
    const { network, collector } = this.#victims;
    collector.commitMs = { min: 8000, max: 24_000 };
    this.#after(this.#chance.between(500, 4000), () => network.cut(false));
    this.#after(30_000, () => {
      collector.commitMs = undefined;
    });
  }

  #storeFails(): void {
    const { collector } = this.#victims;
    collector.storeFault = this.#chance.pick(['full', 'io'] as const);
    this.#trace(`the store is ${collector.storeFault}`);
    this.#after(this.#chance.magnitude(10, 30_000), () => {
      collector.storeFault = undefined;
    });
  }

  #agentCrashes(): void {
    this.#agent().crash('killed');
  }

  #powerCutDuringWrite(): void {
    const { power } = this.#agent().table;
    if (this.#chance.is(0.5)) power.writesLeft = this.#chance.whole(1, 10);
    else power.isToFailAfterCommit = true;
  }

  /** A bit of a stored row flips, as cheap flash does it. */
  #diskDamage(): void {
    const { name, table } = this.#agent();
    const headers = table.headers(1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    if (headers.length === 0) return;
    const { sequence } = this.#chance.pick(headers);
    this.#trace(`a bit of ${name}'s item ${sequence} flips`);
    table.damage(sequence, ({ body }) => {
      body[this.#chance.whole(0, body.length - 1)] ^= 1 << this.#chance.whole(0, 7);
    });
  }
}
