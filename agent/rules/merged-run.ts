import type { ForwardReadings } from '@tributary/core/rules/forward';
import type { MergedReadings } from '@tributary/core/rules/merged-readings';
import type { Origin } from '@tributary/core/rules/origin';

const INITIAL_READINGS = 64;

/** Gathers readings of several series, and puts them in order of time. Memory is kept from run to run. */
export class MergedRun {
  #count = 0;
  #times = new Float64Array(INITIAL_READINGS);
  #values = new Float64Array(INITIAL_READINGS);
  #member = new Int32Array(INITIAL_READINGS);
  #originOf = new Int32Array(INITIAL_READINGS);
  #rows = new Int32Array(INITIAL_READINGS);
  #origins: Origin[] = [];
  #texts: string[] = [];

  add({ from, count, timesUs, values, rows, strings }: ForwardReadings, member: number, origin: Origin): void {
    if (from === count) return;
    // Each column has a dictionary of its own.
    const firstText = this.#texts.length;
    if (strings !== null) this.#texts.push(...strings);
    if (this.#origins.at(-1) !== origin) this.#origins.push(origin);
    while (this.#count + count - from > this.#times.length) this.#grow();
    for (let index = from; index < count; index++) {
      const at = this.#count++;
      this.#times[at] = timesUs[index]!;
      this.#values[at] = strings === null ? values[index]! : firstText + values[index]!;
      this.#member[at] = member;
      this.#originOf[at] = this.#origins.length - 1;
      this.#rows[at] = rows === null ? index : rows[index]!;
    }
  }

  /**
   * What was gathered, in order of time, without what is older than `afterUs`: it would have come too late. Undefined where
   * nothing is left. Valid until the next call of `add`.
   */
  take(afterUs: number): MergedReadings | undefined {
    const times = this.#times;
    const order: number[] = [];
    for (let at = 0; at < this.#count; at++) if (times[at]! >= afterUs) order.push(at);
    // Of equal times those that came first stay first.
    order.sort((a, b) => times[a]! - times[b]! || a - b);
    const origins = this.#origins;
    const texts = this.#texts;
    this.#count = 0;
    this.#origins = [];
    this.#texts = [];
    if (order.length === 0) return undefined;
    return {
      count: order.length,
      timesUs: Float64Array.from(order, (at) => times[at]!),
      texts,
      values: Float64Array.from(order, (at) => this.#values[at]!),
      member: Int32Array.from(order, (at) => this.#member[at]!),
      origins,
      originOf: Int32Array.from(order, (at) => this.#originOf[at]!),
      rows: Int32Array.from(order, (at) => this.#rows[at]!),
    };
  }

  #grow(): void {
    const length = this.#times.length * 2;
    this.#times = grown(this.#times, new Float64Array(length));
    this.#values = grown(this.#values, new Float64Array(length));
    this.#member = grown(this.#member, new Int32Array(length));
    this.#originOf = grown(this.#originOf, new Int32Array(length));
    this.#rows = grown(this.#rows, new Int32Array(length));
  }
}

function grown<T extends Float64Array | Int32Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
