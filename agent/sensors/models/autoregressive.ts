import { normalAt } from './hashed-noise.js';

/** Steps of a block; within one the noise is walked, from its beginning, which is summed up. */
const BLOCK = 256;

/** At what weight older shocks no longer count. */
const NEGLIGIBLE = 1e-4;

/**
 * First-order autoregressive noise, x[k] = c x[k-1] + e[k], with standard deviation 1, as a function of the step alone: a
 * block begins with the weighted sum of the shocks before it and goes on from there. Steps that are asked for in order
 * cost one shock each; a jump costs a block at the most.
 */
export class Autoregressive {
  readonly #seed: number;
  readonly #correlation: number;
  readonly #shock: number;
  readonly #memory: number;
  #step = Number.NaN;
  #value = 0;

  /** `correlation` of neighbouring steps, 0 up to but not including 1. */
  constructor(seed: number, correlation: number) {
    this.#seed = seed;
    this.#correlation = correlation;
    this.#shock = Math.sqrt(1 - correlation * correlation);
    this.#memory = correlation === 0 ? 1 : Math.min(4 * BLOCK, Math.ceil(Math.log(NEGLIGIBLE) / Math.log(correlation)));
  }

  /** The noise at a whole step. */
  at(step: number): number {
    if (step === this.#step) return this.#value;
    const start = Math.floor(step / BLOCK) * BLOCK;
    let at: number;
    let value: number;
    if (this.#step >= start && this.#step < step) {
      at = this.#step;
      value = this.#value;
    } else {
      at = start;
      value = this.#sum(start);
    }
    for (; at < step; at += 1) value = this.#correlation * value + this.#shock * normalAt(this.#seed, at + 1);
    this.#step = step;
    this.#value = value;
    return value;
  }

  #sum(step: number): number {
    let value = 0;
    for (let at = step - this.#memory + 1; at <= step; at += 1) {
      value = this.#correlation * value + this.#shock * normalAt(this.#seed, at);
    }
    return value;
  }
}
