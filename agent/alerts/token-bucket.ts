/** So many at once, and on average so many in a time. */
export interface Rate {
  count: number;
  perMs: number;
}

/** Lets through what keeps to a rate. Times are monotonic milliseconds, a parameter. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.count;
  }

  /** Takes a token if there is one. */
  take(nowMs: number): boolean {
    this.#fill(nowMs);
    // A rounding of the clock must not make a wait of nothing.
    if (this.#tokens < 1 - 1e-6) return false;
    this.#tokens = Math.max(0, this.#tokens - 1);
    return true;
  }

  /** When there will be one. */
  readyAtMs(nowMs: number): number {
    this.#fill(nowMs);
    const { count, perMs } = this.#rate;
    return nowMs + Math.max(0, ((1 - this.#tokens) * perMs) / count);
  }

  #fill(nowMs: number): void {
    const { count, perMs } = this.#rate;
    if (nowMs > this.#atMs) {
      if (Number.isFinite(this.#atMs)) {
        this.#tokens = Math.min(count, this.#tokens + ((nowMs - this.#atMs) * count) / perMs);
      }
      this.#atMs = nowMs;
    }
  }
}
