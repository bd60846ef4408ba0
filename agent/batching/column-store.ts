import type { Column, ColumnType } from '@tributary/proto/batch/batch';

/** Rows that a column has room for at first; it doubles from there. */
const INITIAL_ROWS = 64;

/** The growing values of one series in the open batch. Memory is kept from batch to batch. */
export class ColumnStore {
  readonly type: ColumnType;
  count = 0;
  #values = new Float64Array(INITIAL_ROWS);
  /** Valid while `#sparse`: bits beyond the last row with a value are 0. */
  #presence = new Uint8Array(INITIAL_ROWS >>> 3);
  #sparse = false;
  #strings: string[] = [];
  readonly #codes = new Map<string, number>();

  constructor(type: ColumnType) {
    this.type = type;
  }

  /** Adds the value of a row; rows come in ascending order, and those between stay without one. */
  append(row: number, value: number): void {
    const count = this.count;
    if (count === this.#values.length) this.#growValues();
    if (row !== count || this.#sparse) this.#mark(row);
    this.#values[count] = value;
    this.count = count + 1;
  }

  appendText(row: number, text: string): void {
    let code = this.#codes.get(text);
    if (code === undefined) {
      code = this.#strings.push(text) - 1;
      this.#codes.set(text, code);
    }
    this.append(row, code);
  }

  /** Whether `text` is in the dictionary already, and so costs nothing more. */
  knows(text: string): boolean {
    return this.#codes.has(text);
  }

  /** The column of a group of `rows` rows. It shares this store's memory until `reset`. */
  column(seriesId: number, rows: number): Column {
    if (this.count !== rows && !this.#sparse) this.#mark(-1);
    const bytes = (rows + 7) >>> 3;
    if (this.#presence.length < bytes) this.#growPresence(bytes);
    return {
      seriesId,
      type: this.type,
      presence: this.#sparse ? this.#presence.subarray(0, bytes) : null,
      count: this.count,
      values: this.#values,
      strings: this.#strings,
    };
  }

  reset(): void {
    this.count = 0;
    this.#sparse = false;
    if (this.#strings.length > 0) {
      this.#strings = [];
      this.#codes.clear();
    }
  }

  /** Sets the bit of a row, making the bitmap of the rows so far at the first gap. -1 only makes the bitmap. */
  #mark(row: number): void {
    const bytes = (Math.max(row, this.count) >>> 3) + 1;
    if (bytes > this.#presence.length) this.#growPresence(bytes);
    if (!this.#sparse) {
      this.#sparse = true;
      this.#presence.fill(0);
      this.#presence.fill(0xff, 0, this.count >>> 3);
      this.#presence[this.count >>> 3] = (1 << (this.count & 7)) - 1;
    }
    if (row >= 0) this.#presence[row >>> 3] |= 1 << (row & 7);
  }

  #growValues(): void {
    const grown = new Float64Array(this.#values.length * 2);
    grown.set(this.#values);
    this.#values = grown;
  }

  #growPresence(bytes: number): void {
    const grown = new Uint8Array(Math.max(bytes, this.#presence.length * 2));
    grown.set(this.#presence);
    this.#presence = grown;
  }
}
