import type { Origin } from '@tributary/core/rules/origin';
import type { SeriesReadings } from '@tributary/core/rules/series-readings';

/** The column of a batch that readings stand in. */
export interface Source {
  origin: Origin;
  /** The dictionary of a column of texts; null for numbers and booleans. */
  strings: readonly string[] | null;
}

/** Readings of one series, each later than all before; parallel arrays, valid until the next call. */
export interface SettledReadings {
  count: number;
  timesUs: Float64Array;
  values: Float64Array;
  rows: Int32Array;
  /** For each reading, which of `sources` it stands in. */
  sourceOf: Int32Array;
  sources: readonly Source[];
}

/**
 * Readings of one series that wait until nothing earlier can come any more. Of equal times the first in order of epoch,
 * sequence and row counts, as for the rules of a collector, however the batches were cut.
 */
export class PendingSeries {
  count = 0;
  #timesUs = new Float64Array(256);
  #values = new Float64Array(256);
  #rows = new Int32Array(256);
  #sourceOf = new Int32Array(256);
  #sources: Source[] = [];
  #isAscending = true;
  #takenUs = Number.NEGATIVE_INFINITY;

  /** Adds what of a column lies in the half open range and is later than what was taken; answers how many readings that is. */
  add(readings: SeriesReadings, origin: Origin, fromUs: number, untilUs: number): number {
    const before = this.count;
    this.#makeRoom(readings.count);
    const source = this.#sources.length;
    for (let index = 0; index < readings.count; index += 1) {
      const timeUs = readings.timesUs[index]!;
      if (timeUs < fromUs || timeUs >= untilUs || timeUs <= this.#takenUs) continue;
      if (this.count > 0 && timeUs <= this.#timesUs[this.count - 1]!) this.#isAscending = false;
      this.#timesUs[this.count] = timeUs;
      this.#values[this.count] = readings.values[index]!;
      this.#rows[this.count] = readings.rowOf(index);
      this.#sourceOf[this.count] = source;
      this.count += 1;
    }
    if (this.count > before) this.#sources.push({ origin, strings: readings.strings });
    return this.count - before;
  }

  /** Takes out what is earlier than `beforeUs`; undefined when nothing is. */
  take(beforeUs: number): SettledReadings | undefined {
    if (this.count === 0) return undefined;
    if (!this.#isAscending) this.#sort();
    const end = this.#firstAt(beforeUs);
    if (end === 0) return undefined;
    const sources = this.#sources;
    const taken: SettledReadings = {
      count: end,
      timesUs: this.#timesUs.slice(0, end),
      values: this.#values.slice(0, end),
      rows: this.#rows.slice(0, end),
      sourceOf: this.#sourceOf.slice(0, end),
      sources,
    };
    this.#takenUs = taken.timesUs[end - 1]!;
    for (const column of [this.#timesUs, this.#values, this.#rows, this.#sourceOf])
      column.copyWithin(0, end, this.count);
    this.count -= end;
    // Those of the readings that stay are counted anew, so that what was taken is not held for ever.
    this.#sources = [];
    let last = -1;
    for (let index = 0; index < this.count; index += 1) {
      if (this.#sourceOf[index] !== last) {
        last = this.#sourceOf[index]!;
        this.#sources.push(sources[last]!);
      }
      this.#sourceOf[index] = this.#sources.length - 1;
    }
    return taken;
  }

  #firstAt(timeUs: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timesUs[middle]! < timeUs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #sort(): void {
    const { count } = this;
    const order = Uint32Array.from({ length: count }, (_, index) => index).sort((a, b) => this.#compare(a, b));
    const timesUs = new Float64Array(this.#timesUs.length);
    const values = new Float64Array(this.#timesUs.length);
    const rows = new Int32Array(this.#timesUs.length);
    const sourceOf = new Int32Array(this.#timesUs.length);
    let kept = 0;
    for (const index of order) {
      if (kept > 0 && this.#timesUs[index] === timesUs[kept - 1]) continue;
      timesUs[kept] = this.#timesUs[index]!;
      values[kept] = this.#values[index]!;
      rows[kept] = this.#rows[index]!;
      sourceOf[kept] = this.#sourceOf[index]!;
      kept += 1;
    }
    this.count = kept;
    this.#timesUs = timesUs;
    this.#values = values;
    this.#rows = rows;
    this.#sourceOf = sourceOf;
    this.#isAscending = true;
  }

  #compare(a: number, b: number): number {
    const byTime = this.#timesUs[a]! - this.#timesUs[b]!;
    if (byTime !== 0) return byTime;
    const one = this.#sources[this.#sourceOf[a]!]!.origin;
    const other = this.#sources[this.#sourceOf[b]!]!.origin;
    if (one.epoch !== other.epoch) return one.epoch < other.epoch ? -1 : 1;
    return one.sequence - other.sequence || this.#rows[a]! - this.#rows[b]!;
  }

  #makeRoom(more: number): void {
    const needed = this.count + more;
    if (needed <= this.#timesUs.length) return;
    const room = 2 ** Math.ceil(Math.log2(needed));
    const grown = <A extends Float64Array | Int32Array>(old: A, made: A): A => {
      made.set(old);
      return made;
    };
    this.#timesUs = grown(this.#timesUs, new Float64Array(room));
    this.#values = grown(this.#values, new Float64Array(room));
    this.#rows = grown(this.#rows, new Int32Array(room));
    this.#sourceOf = grown(this.#sourceOf, new Int32Array(room));
  }
}
