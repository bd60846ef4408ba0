import type { Clock } from '@tributary/core/clock/clock';
import type { World } from './world.js';

/** The simulation begins at this moment of the true wall clock: 2027-01-15. */
const EPOCH_US = 1_800_000_000_000_000;

/**
 * A machine's clocks: the monotonic one counts from the boot at its crystal's rate, the wall clock may be wrong by any
 * amount and steps.
 */
export class SimClock implements Clock {
  /** How wrong the wall clock is. */
  wallErrorUs = 0;
  readonly #world: World;
  readonly #rate: number;
  #bootMs = 0;

  /** `rate`: monotonic seconds in a true second; crystals are good to some 50 parts in a million. */
  constructor(world: World, rate: number) {
    this.#world = world;
    this.#rate = rate;
  }

  boot(): void {
    this.#bootMs = this.#world.nowMs;
  }

  wallUs(): number {
    return EPOCH_US + Math.round(this.#world.nowMs * 1000 * this.#rate) + this.wallErrorUs;
  }

  monotonicUs(): number {
    return Math.round((this.#world.nowMs - this.#bootMs) * 1000 * this.#rate);
  }
}
