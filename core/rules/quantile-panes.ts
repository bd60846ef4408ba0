import type { Panes } from './panes.js';

/** Values that a window keeps in all: 16 kB a series. */
const VALUES_MAX = 2048;

interface Pane {
  values: number[];
  /** Each value stands for this many readings. */
  stride: number;
  seen: number;
}

/**
 * A quantile by nearest rank: the least value that at least that share of the readings do not exceed. It is exact while a
 * pane has no more readings than its share of the 2,048 values; of more, every second is taken, then every fourth and so on,
 * and a value stands for as many.
 */
export class QuantilePanes implements Panes {
  readonly #quantile: number;
  readonly #paneMax: number;
  #panes: Pane[];
  #scratch = new Float64Array(64);

  constructor(quantile: number, length: number) {
    this.#quantile = quantile;
    this.#paneMax = Math.floor(VALUES_MAX / length);
    this.#panes = Array.from({ length }, emptyPane);
  }

  add(value: number): void {
    const pane = this.#panes[this.#panes.length - 1]!;
    if (pane.seen % pane.stride === 0) {
      if (pane.values.length >= this.#paneMax) {
        pane.values = pane.values.filter((_, index) => index % 2 === 0);
        pane.stride *= 2;
      }
      if (pane.seen % pane.stride === 0) pane.values.push(value);
    }
    pane.seen += 1;
  }

  combine(): number {
    const panes = this.#panes.filter(({ values }) => values.length > 0);
    const [first] = panes;
    if (first === undefined) return Number.NaN;
    return panes.every(({ stride }) => stride === first.stride) ? this.#plain(panes) : this.#weighted(panes);
  }

  turn(): void {
    this.#panes.shift();
    this.#panes.push(emptyPane());
  }

  clear(): void {
    this.#panes = this.#panes.map(emptyPane);
  }

  save(): Float64Array {
    return Float64Array.from(
      this.#panes.flatMap(({ values, stride, seen }) => [values.length, stride, seen, ...values]),
    );
  }

  restore(saved: Float64Array): void {
    let at = 0;
    this.#panes = this.#panes.map(() => {
      const [count = 0, stride = 1, seen = 0] = saved.subarray(at, at + 3);
      const values = [...saved.subarray(at + 3, at + 3 + count)];
      at += 3 + count;
      return { values, stride, seen };
    });
  }

  #plain(panes: readonly Pane[]): number {
    let count = 0;
    for (const { values } of panes) {
      if (this.#scratch.length < count + values.length) {
        const larger = new Float64Array(2 * (count + values.length));
        larger.set(this.#scratch);
        this.#scratch = larger;
      }
      this.#scratch.set(values, count);
      count += values.length;
    }
    const sorted = this.#scratch.subarray(0, count).sort();
    return sorted[Math.max(0, Math.ceil(this.#quantile * count) - 1)]!;
  }

  #weighted(panes: readonly Pane[]): number {
    const values = panes.flatMap((pane) => pane.values.map((value) => ({ value, weight: pane.stride })));
    values.sort((a, b) => a.value - b.value || (a.value < b.value ? -1 : 1));
    const total = values.reduce((sum, { weight }) => sum + weight, 0);
    let below = 0;
    for (const { value, weight } of values) {
      below += weight;
      if (below >= this.#quantile * total) return value;
    }
    return values[values.length - 1]!.value;
  }
}

function emptyPane(): Pane {
  return { values: [], stride: 1, seen: 0 };
}
