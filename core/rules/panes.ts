/** The functions of a window, as rules write them. */
export const WINDOW_FUNCTIONS = ['avg', 'min', 'max', 'sum', 'count', 'stddev', 'quantile'] as const;
export type WindowFunction = (typeof WINDOW_FUNCTIONS)[number];

/** The equal parts of a sliding window, oldest first; the newest is open and takes readings. */
export interface Panes {
  add(value: number): void;
  /** The function over all panes; NaN of no readings where it is not defined. */
  combine(): number;
  /** The oldest pane leaves, and a new one is opened. */
  turn(): void;
  clear(): void;
  save(): Float64Array;
  restore(saved: Float64Array): void;
}

/** Moments of each pane: count, and as the function needs them sum or extreme, or mean and squares about it. */
export class MomentPanes implements Panes {
  readonly #function: Exclude<WindowFunction, 'quantile'>;
  readonly #length: number;
  readonly #count: Float64Array;
  readonly #first: Float64Array;
  readonly #squares: Float64Array;
  readonly #emptyFirst: number;
  #open = 0;

  constructor(name: Exclude<WindowFunction, 'quantile'>, length: number) {
    this.#function = name;
    this.#length = length;
    this.#count = new Float64Array(length);
    this.#first = new Float64Array(length);
    this.#squares = new Float64Array(name === 'stddev' ? length : 0);
    this.#emptyFirst = name === 'min' ? Infinity : name === 'max' ? -Infinity : 0;
    this.clear();
  }

  add(value: number): void {
    const at = this.#open;
    const first = this.#first;
    const count = this.#count[at]! + 1;
    this.#count[at] = count;
    switch (this.#function) {
      case 'avg':
      case 'sum':
        first[at] = first[at]! + value;
        return;
      case 'min':
        if (value < first[at]!) first[at] = value;
        return;
      case 'max':
        if (value > first[at]!) first[at] = value;
        return;
      case 'stddev': {
        const from = value - first[at]!;
        first[at] = first[at]! + from / count;
        this.#squares[at] = this.#squares[at]! + from * (value - first[at]!);
        return;
      }
      case 'count':
    }
  }

  combine(): number {
    switch (this.#function) {
      case 'avg':
        return this.#total(this.#first) / this.#total(this.#count);
      case 'sum':
        return this.#total(this.#first);
      case 'count':
        return this.#total(this.#count);
      case 'min':
        return this.#extreme(Math.min);
      case 'max':
        return this.#extreme(Math.max);
      case 'stddev':
        return this.#deviation();
    }
  }

  turn(): void {
    this.#open = (this.#open + 1) % this.#length;
    this.#count[this.#open] = 0;
    this.#first[this.#open] = this.#emptyFirst;
    if (this.#squares.length > 0) this.#squares[this.#open] = 0;
  }

  clear(): void {
    this.#count.fill(0);
    this.#first.fill(this.#emptyFirst);
    this.#squares.fill(0);
  }

  save(): Float64Array {
    const parts = [this.#count, this.#first, this.#squares].filter((part) => part.length > 0);
    const saved = new Float64Array(parts.length * this.#length);
    for (const [index, part] of parts.entries()) {
      for (let pane = 0; pane < this.#length; pane += 1) saved[index * this.#length + pane] = part[this.#at(pane)]!;
    }
    return saved;
  }

  restore(saved: Float64Array): void {
    const length = this.#length;
    // The open pane is the last: the ring begins behind it.
    this.#open = length - 1;
    for (const [index, part] of [this.#count, this.#first, this.#squares].entries()) {
      if (part.length > 0 && saved.length >= (index + 1) * length) {
        part.set(saved.subarray(index * length, (index + 1) * length));
      }
    }
  }

  /** Where the pane lies that is the `pane`-th oldest. */
  #at(pane: number): number {
    return (this.#open + 1 + pane) % this.#length;
  }

  /** Oldest first: how sums of doubles are rounded depends on their order. */
  #total(part: Float64Array): number {
    let total = 0;
    for (let at = this.#open + 1; at < this.#length; at += 1) total += part[at]!;
    for (let at = 0; at <= this.#open; at += 1) total += part[at]!;
    return total;
  }

  #extreme(of: (a: number, b: number) => number): number {
    let extreme = Number.NaN;
    for (let pane = 0; pane < this.#length; pane += 1) {
      if (this.#count[pane]! > 0)
        extreme = Number.isNaN(extreme) ? this.#first[pane]! : of(extreme, this.#first[pane]!);
    }
    return extreme;
  }

  /** Of the population: squares about the common mean, put together pane by pane (Chan, Golub and LeVeque). */
  #deviation(): number {
    let count = 0;
    let mean = 0;
    let squares = 0;
    for (let pane = 0; pane < this.#length; pane += 1) {
      const at = this.#at(pane);
      const more = this.#count[at]!;
      if (more === 0) continue;
      const from = this.#first[at]! - mean;
      const total = count + more;
      squares += this.#squares[at]! + (from * from * count * more) / total;
      mean += (from * more) / total;
      count = total;
    }
    return count === 0 ? Number.NaN : Math.sqrt(squares / count);
  }
}
