import type { Origin } from './rule-instance.js';

/** Readings of several series of one device in order of time; of equal times the order does not matter. */
export interface MergedReadings {
  count: number;
  timesUs: Float64Array;
  values: Float64Array;
  /** For each reading, the index that `CompiledRule.join` answered for its series. */
  member: Int32Array;
  origins: readonly Origin[];
  /** For each reading, which of `origins` it stands in, and its row there. */
  originOf: Int32Array;
  rows: Int32Array;
}
