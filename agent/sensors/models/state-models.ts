import { derivedSeed, uniformAt } from './hashed-noise.js';

const MINUTE_US = 60_000_000;

/** A contact that opens now and then: in each window at most once, for a part of it. */
export class DoorModel {
  readonly type = 'boolean' as const;
  readonly #seed: number;
  readonly #windowUs: number;

  /** `everyMinutes` is the window; in three of four it opens. */
  constructor(everyMinutes: number, seed: number) {
    this.#windowUs = everyMinutes * MINUTE_US;
    this.#seed = derivedSeed(seed, 'door');
  }

  at(timeUs: number): boolean {
    const window = Math.floor(timeUs / this.#windowUs);
    if (uniformAt(this.#seed, window) >= 0.75) return false;
    const share = timeUs / this.#windowUs - window;
    const start = 0.7 * uniformAt(this.#seed + 1, window);
    const length = 0.02 + 0.28 * uniformAt(this.#seed + 2, window);
    return share >= start && share < start + length;
  }
}

/** A machine that is set up, runs and idles in each cycle, and in one of ten stops on a fault. */
export class MachineStateModel {
  readonly type = 'string' as const;
  readonly #seed: number;
  readonly #cycleUs: number;

  constructor(cycleMinutes: number, seed: number) {
    this.#cycleUs = cycleMinutes * MINUTE_US;
    this.#seed = derivedSeed(seed, 'machine');
  }

  at(timeUs: number): 'idle' | 'setup' | 'running' | 'fault' {
    const cycle = Math.floor(timeUs / this.#cycleUs);
    const share = timeUs / this.#cycleUs - cycle;
    const setup = 0.05 + 0.1 * uniformAt(this.#seed, cycle);
    const end = 0.6 + 0.3 * uniformAt(this.#seed + 1, cycle);
    if (share < setup) return 'setup';
    if (share >= end) return 'idle';
    if (uniformAt(this.#seed + 2, cycle) < 0.1) {
      const faultAt = setup + (end - setup) * uniformAt(this.#seed + 3, cycle);
      if (share >= faultAt) return 'fault';
    }
    return 'running';
  }
}

/** A meter that only goes up, faster by day than by night. */
export class CounterModel {
  readonly type = 'double' as const;
  readonly #perSecond: number;
  readonly #start: number;

  constructor(perSecond: number, seed: number) {
    this.#perSecond = perSecond;
    this.#start = Math.floor(1e6 * uniformAt(derivedSeed(seed, 'counter'), 0));
  }

  at(timeUs: number): number {
    const seconds = timeUs / 1_000_000;
    const day = 86_400 / (2 * Math.PI);
    // The derivative, 1 - 0.8 cos, is never negative.
    return this.#start + Math.floor(this.#perSecond * (seconds - 0.8 * day * Math.sin(seconds / day)));
  }
}
