import type { Origin } from './origin.js';

/** Readings of several series of one device in order of time; of equal times the order does not matter. */
export interface MergedReadings {
  count: number;
  timesUs: Float64Array;
  /** Numbers, booleans as 0 or 1, and of a series of texts the indexes into `texts`. */
  values: Float64Array;
  texts: readonly string[] | null;
  /** For each reading, the index that `CompiledRule.join` answered for its series. */
  member: Int32Array;
  origins: readonly Origin[];
  /** For each reading, which of `origins` it stands in, and its row there. */
  originOf: Int32Array;
  rows: Int32Array;
}
