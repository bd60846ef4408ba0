import type { Random } from '../clock/random.js';

/** How long to wait between attempts. */
export interface BackoffPolicy {
  /** The first window, in milliseconds. */
  baseMs: number;
  /** The widest window, in milliseconds. */
  capMs: number;
}

/**
 * One second is about what a lost connection costs anyway; five minutes is how late a device may be after a long outage
 * before somebody takes it for dead.
 */
export const defaultBackoff: BackoffPolicy = { baseMs: 1000, capMs: 300_000 };

/** A server may ask for more than the cap, within reason: an hour, or one wrong hint silences a fleet for a day. */
const floorMsMax = 3_600_000;

/**
 * The wait before attempt `attempt` (0 is the first repetition), in milliseconds: uniform over a window that doubles up to
 * the cap ("full jitter", Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The whole window
 * is random also at the cap, and a server's floor shifts the window instead of cutting it, so a fleet never moves in step.
 */
export function nextDelayMs(
  attempt: number,
  random: Random,
  policy: BackoffPolicy = defaultBackoff,
  floorMs = 0,
): number {
  // 2 ** 1024 is Infinity; the minimum with the cap makes that harmless.
  const windowMs = Math.min(policy.capMs, policy.baseMs * 2 ** Math.max(0, attempt));
  return Math.min(Math.max(0, floorMs), floorMsMax) + random() * windowMs;
}

/** The attempts of one endeavour: counts failures, forgets them at success. */
export class Backoff {
  #attempt = 0;
  readonly #random: Random;
  readonly #policy: BackoffPolicy;

  constructor(random: Random, policy: BackoffPolicy = defaultBackoff) {
    this.#random = random;
    this.#policy = policy;
  }

  /** Failures since the last success. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Counts a failure and says how long to wait, in milliseconds; `floorMs` is what the server asked for. */
  failed(floorMs = 0): number {
    const delayMs = nextDelayMs(this.#attempt, this.#random, this.#policy, floorMs);
    this.#attempt += 1;
    return delayMs;
  }

  /** The next failure starts with the smallest window again. */
  succeeded(): void {
    this.#attempt = 0;
  }
}
