import type { Batch, Column, Group } from '@tributary/proto/batch/batch';
import { eventTimes, newEventTimeScale, setEventTimeScale } from '../event-time/event-time-scale.js';

/**
 * The readings of one column with their event times, as dense parallel arrays. One object is used over and over: `open`
 * for each group, `select` for each column of it; what it shows is valid until the next call.
 */
export class SeriesReadings {
  count = 0;
  /** Whole microseconds since the Unix epoch; finer times are rounded down. */
  timesUs: Float64Array = new Float64Array(0);
  values: Float64Array = new Float64Array(0);
  /** Row of the group for each reading; null when reading i is row i. */
  rows: Int32Array | null = null;
  /** The dictionary of a column of texts, whose values are indexes into it; null for numbers and booleans. */
  strings: readonly string[] | null = null;
  /** Each time is later than the one before. */
  ascending = true;

  #group: Group | undefined;
  #groupTimes = new Float64Array(1024);
  #groupAscending = true;
  #columnTimes = new Float64Array(1024);
  #columnRows = new Int32Array(1024);
  readonly #scale = newEventTimeScale();

  /** Takes up a batch. `offsetUs` (whole microseconds) is added to its times. */
  openBatch(batch: Batch, offsetUs: number): void {
    setEventTimeScale(batch, offsetUs, this.#scale);
  }

  /** Resolves the instants of a group of the batch, once for all of its columns. */
  openGroup(group: Group): void {
    this.#group = group;
    const { rows, times } = group;
    if (this.#groupTimes.length < rows) this.#groupTimes = new Float64Array(roomFor(rows));
    this.#groupAscending = eventTimes(this.#scale, times, rows, this.#groupTimes);
  }

  /** Shows a column of the group. */
  select(column: Column): void {
    this.count = column.count;
    this.values = column.values;
    this.strings = column.type === 'string' ? column.strings : null;
    this.ascending = this.#groupAscending;
    if (column.presence === null) {
      this.timesUs = this.#groupTimes;
      this.rows = null;
      return;
    }
    this.#gather(column.presence, this.#group!.rows);
  }

  #gather(presence: Uint8Array, rowCount: number): void {
    if (this.#columnTimes.length < this.count) {
      this.#columnTimes = new Float64Array(roomFor(this.count));
      this.#columnRows = new Int32Array(roomFor(this.count));
    }
    const times = this.#columnTimes;
    const rows = this.#columnRows;
    const groupTimes = this.#groupTimes;
    let index = 0;
    for (let row = 0; row < rowCount; row += 1) {
      if ((presence[row >> 3]! & (1 << (row & 7))) === 0) continue;
      times[index] = groupTimes[row]!;
      rows[index] = row;
      index += 1;
    }
    this.timesUs = times;
    this.rows = rows;
    // A column may skip the rows that are out of order, but asking costs more than the rare gain.
  }

  /** Row of the group of reading `index`. */
  rowOf(index: number): number {
    return this.rows === null ? index : this.rows[index]!;
  }
}

function roomFor(length: number): number {
  return 2 ** Math.ceil(Math.log2(length));
}
