import type { RollupColumns } from '../store/store.js';

/** What one bucket gains: finite values of a series. */
export interface BucketGain {
  count: number;
  min: number;
  max: number;
  mean: number;
  /** Sum of squared differences from the mean. */
  m2: number;
  first: number;
  firstUs: number;
  last: number;
  lastUs: number;
}

const COLUMNS = [
  'deviceId',
  'seriesId',
  'stepSeconds',
  'start',
  'count',
  'min',
  'max',
  'mean',
  'm2',
  'first',
  'firstUs',
  'last',
  'lastUs',
] as const;

/** Rows of rollups that grow in place, as parallel columns. */
export class RollupRows implements RollupColumns {
  length = 0;
  deviceId: Float64Array;
  seriesId: Float64Array;
  stepSeconds: Float64Array;
  start: Float64Array;
  count: Float64Array;
  min: Float64Array;
  max: Float64Array;
  mean: Float64Array;
  m2: Float64Array;
  first: Float64Array;
  firstUs: Float64Array;
  last: Float64Array;
  lastUs: Float64Array;

  constructor(room = 256) {
    this.deviceId = new Float64Array(room);
    this.seriesId = new Float64Array(room);
    this.stepSeconds = new Float64Array(room);
    this.start = new Float64Array(room);
    this.count = new Float64Array(room);
    this.min = new Float64Array(room);
    this.max = new Float64Array(room);
    this.mean = new Float64Array(room);
    this.m2 = new Float64Array(room);
    this.first = new Float64Array(room);
    this.firstUs = new Float64Array(room);
    this.last = new Float64Array(room);
    this.lastUs = new Float64Array(room);
  }

  /** Adds an empty row and answers its index. */
  open(deviceId: number, seriesId: number, stepSeconds: number, start: number): number {
    const row = this.length;
    if (row === this.start.length) this.#grow();
    this.length = row + 1;
    this.deviceId[row] = deviceId;
    this.seriesId[row] = seriesId;
    this.stepSeconds[row] = stepSeconds;
    this.start[row] = start;
    this.count[row] = 0;
    return row;
  }

  /** Adds values to a row, whatever their times. */
  merge(row: number, gain: BucketGain): void {
    const before = this.count[row]!;
    if (before === 0) {
      this.count[row] = gain.count;
      this.min[row] = gain.min;
      this.max[row] = gain.max;
      this.mean[row] = gain.mean;
      this.m2[row] = gain.m2;
      this.first[row] = gain.first;
      this.firstUs[row] = gain.firstUs;
      this.last[row] = gain.last;
      this.lastUs[row] = gain.lastUs;
      return;
    }
    const count = before + gain.count;
    const share = gain.count / count;
    const mean = this.mean[row]!;
    const difference = gain.mean - mean;
    // Chan, Golub and LeVeque 1979. Weighted means where the difference of two huge values overflows.
    this.mean[row] = Number.isFinite(difference) ? mean + difference * share : mean * (1 - share) + gain.mean * share;
    this.m2[row] = this.m2[row]! + gain.m2 + difference * difference * before * share;
    this.count[row] = count;
    if (gain.min < this.min[row]!) this.min[row] = gain.min;
    if (gain.max > this.max[row]!) this.max[row] = gain.max;
    // Of two values at one instant the smaller is first and the larger last: the order of merging does not show.
    if (gain.firstUs < this.firstUs[row]! || (gain.firstUs === this.firstUs[row]! && gain.first < this.first[row]!)) {
      this.first[row] = gain.first;
      this.firstUs[row] = gain.firstUs;
    }
    if (gain.lastUs > this.lastUs[row]! || (gain.lastUs === this.lastUs[row]! && gain.last > this.last[row]!)) {
      this.last[row] = gain.last;
      this.lastUs[row] = gain.lastUs;
    }
  }

  /** What row `row` of `rows` holds, copied into `gain`. */
  static read(rows: RollupColumns, row: number, gain: BucketGain): BucketGain {
    gain.count = rows.count[row]!;
    gain.min = rows.min[row]!;
    gain.max = rows.max[row]!;
    gain.mean = rows.mean[row]!;
    gain.m2 = rows.m2[row]!;
    gain.first = rows.first[row]!;
    gain.firstUs = rows.firstUs[row]!;
    gain.last = rows.last[row]!;
    gain.lastUs = rows.lastUs[row]!;
    return gain;
  }

  #grow(): void {
    const room = this.start.length * 2;
    for (const column of COLUMNS) {
      const grown = new Float64Array(room);
      grown.set(this[column]);
      this[column] = grown;
    }
  }
}

export function emptyGain(): BucketGain {
  return { count: 0, min: 0, max: 0, mean: 0, m2: 0, first: 0, firstUs: 0, last: 0, lastUs: 0 };
}
