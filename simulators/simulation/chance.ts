import { type Random, seededRandom } from '@tributary/core/clock/random';

/** Streams of random numbers of one seed; there are fewer than this. */
const STREAMS = 65_536;

/** Draws from one stream of random numbers. Each part of a simulation has its own, so that one does not disturb another. */
export class Chance {
  readonly random: Random;

  /** The same seed and stream draw the same. */
  constructor(seed: number, stream: number) {
    this.random = seededRandom(seed * STREAMS + stream);
  }

  /** Whether something of this probability happens. */
  is(probability: number): boolean {
    return this.random() < probability;
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  /** Each order of magnitude is as likely as another. */
  magnitude(low: number, high: number): number {
    return low * (high / low) ** this.random();
  }

  /** A whole number from low to high, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)];
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.whole(0, 255));
  }
}
