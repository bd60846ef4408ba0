/** Reasons are a bounded set by contract; should one be broken, this bounds the memory. */
const reasonsMax = 100;

const otherReason = 'other';

/** Counts what was not taken, by reason. */
export class DropCounter {
  readonly #counts = new Map<string, number>();

  count(reason: string, readings: number): void {
    const key = this.#counts.has(reason) || this.#counts.size < reasonsMax ? reason : otherReason;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + readings);
  }

  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
