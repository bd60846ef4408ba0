/** What a value of a column is. */
export type ColumnType = 'double' | 'boolean' | 'string';

/** The values of one series in a group. */
export interface Column {
  /** uint32; a series appears at most once in a batch. */
  seriesId: number;
  type: ColumnType;
  /** Row bitmap, least significant bit first, or null when every row has a value. */
  presence: Uint8Array | null;
  /** Number of values: the set bits of `presence`, or the rows of the group. */
  count: number;
  /**
   * Doubles; booleans as 0 or 1; strings as an index into `strings`. May be longer than `count` where scratch memory
   * is shared: only the first `count` elements are values.
   */
  values: Float64Array;
  /** The dictionary of this column; empty unless its type is string. */
  strings: readonly string[];
}

/** Columns that share one column of instants. */
export interface Group {
  rows: number;
  /** One instant a row, in units relative to the batch's base time: integers of at most 2^53 - 1, in any order. */
  times: Float64Array;
  columns: Column[];
}

/** Readings that travel, are stored and are acknowledged together. */
export interface Batch {
  /** The time line that the instants lie on; 0 is absolute unix time. uint32. */
  segment: number;
  /** The unit of time is 10^-unitExponent seconds, 0 to 9. */
  unitExponent: number;
  /** In units; what the instants of all groups are relative to. int64. */
  baseTime: bigint;
  groups: Group[];
  /** The sum of the columns' counts. */
  readings: number;
}
