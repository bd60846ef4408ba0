import { firstAfter } from '@tributary/core/rules/first-after';
import type { ForwardReadings } from '@tributary/core/rules/forward';
import type { SeriesReadings } from '@tributary/core/rules/series-readings';
import { TimeOrder } from './time-order.js';

/**
 * What of a column is later than a time, in order of time: of several readings of one instant the first row counts. A column
 * that is in order is shown as it lies, any other is sorted into memory that is used over and over.
 */
export class OrderedReadings implements ForwardReadings {
  from = 0;
  count = 0;
  timesUs: Float64Array = new Float64Array(0);
  values: Float64Array = new Float64Array(0);
  rows: Int32Array | null = null;
  strings: readonly string[] | null = null;

  readonly #order = new TimeOrder();
  #times = new Float64Array(1024);
  #values = new Float64Array(1024);
  #rows = new Int32Array(1024);

  /** Shows a column; answers how many of its readings lie at or before `afterUs`. */
  admit(readings: SeriesReadings, afterUs: number): number {
    this.strings = readings.strings;
    if (readings.ascending) {
      this.count = readings.count;
      this.timesUs = readings.timesUs;
      this.values = readings.values;
      this.rows = readings.rows;
    } else this.#sort(readings);
    this.from = firstAfter(this.timesUs, this.count, afterUs);
    return this.from;
  }

  #sort(readings: SeriesReadings): void {
    const { count, timesUs, values } = readings;
    if (this.#times.length < count) {
      const room = 2 ** Math.ceil(Math.log2(count));
      this.#times = new Float64Array(room);
      this.#values = new Float64Array(room);
      this.#rows = new Int32Array(room);
    }
    const order = this.#order.of(timesUs, count);
    let kept = 0;
    for (let at = 0; at < count; at += 1) {
      const index = order[at]!;
      const timeUs = timesUs[index]!;
      if (kept > 0 && timeUs === this.#times[kept - 1]) continue;
      this.#times[kept] = timeUs;
      this.#values[kept] = values[index]!;
      this.#rows[kept] = readings.rowOf(index);
      kept += 1;
    }
    this.count = kept;
    this.timesUs = this.#times;
    this.values = this.#values;
    this.rows = this.#rows;
  }
}
