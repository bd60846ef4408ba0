import type { Batcher } from '../batching/batcher.js';

/** A batch may always have so many readings: below that an append costs more than what a tighter bound is worth. */
const READINGS_MIN = 64;
/** Over what was seen of late, so that ordinary unsteadiness closes no batch early. */
const HEADROOM = 2;
/** How fast larger batches are forgotten: after ten small ones a third of it is left. */
const MEMORY = 0.9;

/** What a crash can take before the first append: two batches on each of the two time lines. */
export const CRASH_BOUND_AT_START = 4 * READINGS_MIN;

/**
 * Keeps what a crash takes along within a bound that was written before: how many readings the batcher can have taken that
 * are in no append on the disk. It follows the rate: batches close before they are several times larger than those before
 * them. A rate that jumps costs a few small batches.
 *
 * The bound holds while an append is written faster than batches close. While the disk is slower than that, or refuses,
 * more is in memory than was written down, for there is nowhere to write it.
 */
export class CrashWindow {
  readonly #batcher: Pick<Batcher, 'limitReadings' | 'pendingBound'>;
  readonly #readingsMax: number;
  #recent = 0;
  #limit = READINGS_MIN;
  #next = READINGS_MIN;

  /** `readingsMax`: at which a batch is closed however many are usual. */
  constructor(batcher: Pick<Batcher, 'limitReadings' | 'pendingBound'>, readingsMax: number) {
    this.#batcher = batcher;
    this.#readingsMax = readingsMax;
    this.#allow(Math.min(READINGS_MIN, readingsMax));
  }

  /**
   * These batches are on their way: the bound to be written with them. It is that of larger batches already, where they
   * are to become larger.
   */
  taken(batches: readonly { readings: number }[]): number {
    let largest = 0;
    let sum = 0;
    for (const { readings } of batches) {
      largest = Math.max(largest, readings);
      sum += readings;
    }
    this.#recent = Math.max(largest, this.#recent * MEMORY);
    this.#next = Math.min(Math.max(Math.ceil(this.#recent * HEADROOM), READINGS_MIN), this.#readingsMax);
    // Where several close while one append is written, so many may again.
    return Math.max(this.#batcher.pendingBound(Math.max(this.#limit, this.#next)), 2 * sum);
  }

  /** The append is on disk, and the bound with it. */
  written(): void {
    if (this.#next !== this.#limit) this.#allow(this.#next);
  }

  #allow(readings: number): void {
    this.#limit = readings;
    this.#batcher.limitReadings(readings);
  }
}
