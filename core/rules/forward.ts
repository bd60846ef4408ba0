import { firstAfter } from './first-after.js';
import type { SeriesReadings } from './series-readings.js';

/** Readings of one series whose times go up strictly, from index `from` on. */
export interface ForwardReadings {
  from: number;
  count: number;
  timesUs: Float64Array;
  values: Float64Array;
  /** Row of the batch's group for each reading; null when reading i is row i. */
  rows: Int32Array | null;
  /** The dictionary of a column of texts, whose values are indexes into it; null for numbers and booleans. */
  strings: readonly string[] | null;
}

/**
 * What of a column moves a series forward in event time: the readings later than all before them. Rules see nothing
 * else, so however readings are cut into batches, they see the same. One object is used over and over.
 */
export class Forward implements ForwardReadings {
  from = 0;
  count = 0;
  timesUs: Float64Array = new Float64Array(0);
  values: Float64Array = new Float64Array(0);
  rows: Int32Array | null = null;
  strings: readonly string[] | null = null;

  #times = new Float64Array(1024);
  #values = new Float64Array(1024);
  #rows = new Int32Array(1024);

  /** Shows what of `readings` is later than `afterUs`; answers how many readings are left out. */
  admit(readings: SeriesReadings, afterUs: number): number {
    const { count, timesUs } = readings;
    this.strings = readings.strings;
    if (!readings.ascending) return this.#filter(readings, afterUs);
    this.count = count;
    this.timesUs = timesUs;
    this.values = readings.values;
    this.rows = readings.rows;
    this.from = firstAfter(timesUs, count, afterUs);
    return this.from;
  }

  #filter(readings: SeriesReadings, afterUs: number): number {
    const { count, timesUs, values } = readings;
    if (this.#times.length < count) {
      const room = 2 ** Math.ceil(Math.log2(count));
      this.#times = new Float64Array(room);
      this.#values = new Float64Array(room);
      this.#rows = new Int32Array(room);
    }
    let kept = 0;
    let last = afterUs;
    for (let index = 0; index < count; index += 1) {
      const timeUs = timesUs[index]!;
      if (timeUs <= last) continue;
      last = timeUs;
      this.#times[kept] = timeUs;
      this.#values[kept] = values[index]!;
      this.#rows[kept] = readings.rowOf(index);
      kept += 1;
    }
    this.from = 0;
    this.count = kept;
    this.timesUs = this.#times;
    this.values = this.#values;
    this.rows = this.#rows;
    return count - kept;
  }
}
