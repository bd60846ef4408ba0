/** What an addition did: these intervals are gone, and one stands in their place. */
export interface IntervalChange {
  /** First sequences of the intervals that were merged; may name `first` itself. */
  removed: readonly number[];
  first: number;
  last: number;
}

/** Disjoint intervals of sequence numbers, in order and never adjacent: touching ones are merged, so the set stays small. */
export class IntervalSet {
  readonly #firsts: number[] = [];
  readonly #lasts: number[] = [];

  get size(): number {
    return this.#firsts.length;
  }

  has(sequence: number): boolean {
    return this.overlaps(sequence, sequence);
  }

  /** Whether any of first to last, both included, is in the set. */
  overlaps(first: number, last: number): boolean {
    const at = this.#endingAtOrAfter(first);
    return at < this.#firsts.length && this.#firsts[at] <= last;
  }

  /** Where the interval begins that the sequence is in; undefined when it is in none. */
  startOf(sequence: number): number | undefined {
    const at = this.#endingAtOrAfter(sequence);
    return at < this.#firsts.length && this.#firsts[at] <= sequence ? this.#firsts[at] : undefined;
  }

  /** Adds first to last, both included; what is there already stays. */
  add(first: number, last: number): IntervalChange {
    const from = this.#endingAtOrAfter(first - 1);
    let until = from;
    while (until < this.#firsts.length && this.#firsts[until] <= last + 1) until++;
    const mergedFirst = until > from ? Math.min(first, this.#firsts[from]) : first;
    const mergedLast = until > from ? Math.max(last, this.#lasts[until - 1]) : last;
    if (until === from + 1) {
      const removed = [this.#firsts[from]];
      this.#firsts[from] = mergedFirst;
      this.#lasts[from] = mergedLast;
      return { removed, first: mergedFirst, last: mergedLast };
    }
    const removed = this.#firsts.splice(from, until - from, mergedFirst);
    this.#lasts.splice(from, until - from, mergedLast);
    return { removed, first: mergedFirst, last: mergedLast };
  }

  toRanges(): { first: number; last: number }[] {
    return this.#firsts.map((first, at) => ({ first, last: this.#lasts[at] }));
  }

  /** Index of the first interval whose last is at or after the sequence. */
  #endingAtOrAfter(sequence: number): number {
    const count = this.#lasts.length;
    // A device sends in order, so the newest interval is nearly always the one.
    if (count === 0 || this.#lasts[count - 1] < sequence) return count;
    if (count === 1 || this.#lasts[count - 2] < sequence) return count - 1;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#lasts[middle] < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
