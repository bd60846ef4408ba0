import type { ForwardReadings } from '@tributary/core/rules/forward';
import type { MergedReadings } from '@tributary/core/rules/merged-readings';
import type { Origin } from '@tributary/core/rules/origin';
import { TimeOrder } from './time-order.js';

/** Gathers readings of several series and shows them in order of time. Its memory is used over and over. */
export class MergeBuffer implements MergedReadings {
  count = 0;
  timesUs = new Float64Array(1024);
  values = new Float64Array(1024);
  member = new Int32Array(1024);
  originOf = new Int32Array(1024);
  rows = new Int32Array(1024);
  readonly origins: Origin[] = [];
  /** The dictionaries of columns of texts, one after the other: values of such a column are moved to where theirs begins. */
  readonly texts: string[] = [];
  /** For each origin, where it came with a dictionary that was not joined to the others. */
  readonly dictionaries: (readonly string[] | null)[] = [];

  readonly #order = new TimeOrder();
  #spare = { doubles: new Float64Array(1024), integers: new Int32Array(1024) };

  clear(): void {
    this.count = 0;
    this.origins.length = 0;
    this.texts.length = 0;
    this.dictionaries.length = 0;
  }

  /** Adds the readings from `from` on up to `until`, all of one series. Texts go into one dictionary with all others. */
  add(member: number, readings: ForwardReadings, from: number, until: number, origin: Origin): void {
    const { strings } = readings;
    const shift = strings === null ? 0 : this.texts.length;
    if (strings !== null) for (const text of strings) this.texts.push(text);
    if (this.origins.at(-1) !== origin) this.origins.push(origin);
    this.#copy(member, readings, from, until, shift);
  }

  /** The same of a series alone, whose texts keep the dictionaries that they came with. */
  addApart(readings: ForwardReadings, from: number, until: number, origin: Origin): void {
    this.origins.push(origin);
    this.dictionaries.push(readings.strings);
    this.#copy(0, readings, from, until, 0);
  }

  #copy(member: number, readings: ForwardReadings, from: number, until: number, shift: number): void {
    const needed = this.count + until - from;
    if (needed > this.timesUs.length) this.#grow(needed);
    const { timesUs, values, rows } = readings;
    const originIndex = this.origins.length - 1;
    let at = this.count;
    for (let index = from; index < until; index += 1) {
      this.timesUs[at] = timesUs[index]!;
      this.values[at] = shift === 0 ? values[index]! : values[index]! + shift;
      this.member[at] = member;
      this.originOf[at] = originIndex;
      this.rows[at] = rows === null ? index : rows[index]!;
      at += 1;
    }
    this.count = at;
  }

  /** Puts what was added in order of time. */
  sort(): void {
    const { count, timesUs } = this;
    let at = 1;
    while (at < count && timesUs[at]! >= timesUs[at - 1]!) at += 1;
    if (at >= count) return;
    const order = this.#order.of(timesUs, count);
    this.timesUs = this.#doubles(this.timesUs, order);
    this.values = this.#doubles(this.values, order);
    this.member = this.#integers(this.member, order);
    this.originOf = this.#integers(this.originOf, order);
    this.rows = this.#integers(this.rows, order);
  }

  /** Takes away what lies before a time, of what is in order; answers how many readings that are. */
  dropBefore(fromUs: number): number {
    const { count, timesUs } = this;
    let kept = 0;
    while (kept < count && timesUs[kept]! < fromUs) kept += 1;
    if (kept === 0) return 0;
    for (const column of [timesUs, this.values, this.member, this.originOf, this.rows])
      column.copyWithin(0, kept, count);
    this.count = count - kept;
    return kept;
  }

  #doubles(column: Float64Array<ArrayBuffer>, order: Int32Array): Float64Array<ArrayBuffer> {
    const sorted = this.#spare.doubles;
    for (let at = 0; at < this.count; at += 1) sorted[at] = column[order[at]!]!;
    this.#spare.doubles = column;
    return sorted;
  }

  #integers(column: Int32Array<ArrayBuffer>, order: Int32Array): Int32Array<ArrayBuffer> {
    const sorted = this.#spare.integers;
    for (let at = 0; at < this.count; at += 1) sorted[at] = column[order[at]!]!;
    this.#spare.integers = column;
    return sorted;
  }

  #grow(needed: number): void {
    const room = 2 ** Math.ceil(Math.log2(needed));
    const doubles = (column: Float64Array) => {
      const grown = new Float64Array(room);
      grown.set(column);
      return grown;
    };
    const integers = (column: Int32Array) => {
      const grown = new Int32Array(room);
      grown.set(column);
      return grown;
    };
    this.timesUs = doubles(this.timesUs);
    this.values = doubles(this.values);
    this.member = integers(this.member);
    this.originOf = integers(this.originOf);
    this.rows = integers(this.rows);
    this.#spare = { doubles: new Float64Array(room), integers: new Int32Array(room) };
  }
}
