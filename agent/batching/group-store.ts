import type { ColumnType } from '@tributary/proto/batch/batch';
import { ColumnStore } from './column-store.js';

const INITIAL_ROWS = 64;

/** The growing rows of one group: its instants and its columns. Memory is kept from batch to batch. */
export class GroupStore {
  rows = 0;
  readings = 0;
  /** Absolute microseconds while open; {@link GroupStore.rebase} makes them relative. */
  times = new Float64Array(INITIAL_ROWS);
  readonly columns: ColumnStore[] = [];

  addColumn(type: ColumnType): void {
    this.columns.push(new ColumnStore(type));
  }

  /** Starts a row; the caller appends its values to the columns. Answers the number of the row. */
  appendRow(timeUs: number): number {
    const row = this.rows;
    if (row === this.times.length) {
      const grown = new Float64Array(row * 2);
      grown.set(this.times);
      this.times = grown;
    }
    this.times[row] = timeUs;
    this.rows = row + 1;
    return row;
  }

  /** Makes the times relative to `baseUs`. Once only, when the batch is closed. */
  rebase(baseUs: number): void {
    for (let row = 0; row < this.rows; row += 1) this.times[row] -= baseUs;
  }

  /** Empties it for the next batch and catches up on series that were added since. */
  reset(types: readonly ColumnType[]): void {
    this.rows = 0;
    this.readings = 0;
    for (const column of this.columns) column.reset();
    for (let index = this.columns.length; index < types.length; index += 1) this.addColumn(types[index]);
  }
}
