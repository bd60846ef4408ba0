import type { SeriesReadings } from '@tributary/core/rules/series-readings';
import type { RollupColumns } from '../store/store.js';
import { sumUp } from './gain.js';
import { type BucketGain, emptyGain, RollupRows } from './rollup-rows.js';

export const MINUTE_SECONDS = 60;
export const QUARTER_SECONDS = 900;
const MINUTE_US = MINUTE_SECONDS * 1e6;

/**
 * Minutes of one device that are better saved at once: some 20 ms of the store's time, in which it commits no readings. A
 * device that sends what happens now has one open minute a series and gets there only with a thousand series.
 */
const HEAVY_ROWS = 1000;

/** A series without a reading in so many fills is forgotten: a few minutes, where making it anew costs nothing. */
const FORGET_FILLS = 64;

/** The buckets of one series that are open. */
interface SeriesBuckets {
  /** Which fill of the buffer the rows below belong to. */
  fill: number;
  /** The bucket that was last written: consecutive readings mostly share it. */
  startUs: number;
  row: number;
  /** Start in microseconds to row, for the others. */
  rows: Map<number, number>;
  /** The quarter of an hour that was last written while the buffer is taken, and the others by their start. */
  quarter: number;
  quarterRow: number;
  quarters: Map<number, number>;
}

/**
 * Rollups of what was committed and is not yet saved, per series and minute, coalesced over commits. Only minutes are
 * kept up for each reading; quarters of an hour are merged from them when the buffer is taken.
 */
export class RollupBuffer {
  #rows = new RollupRows();
  #fill = 1;
  readonly #series = new Map<number, SeriesBuckets>();
  /** Whose each row is. */
  readonly #owners: SeriesBuckets[] = [];
  /** Minutes that each device has here. */
  readonly #rowsOfDevice = new Map<number, number>();
  #heavy: number | undefined;
  readonly #gain = emptyGain();
  /** Readings of buckets that begin before this are in rollups already, and are passed over; microseconds. */
  fromUs = Number.NEGATIVE_INFINITY;

  /** Series that are in memory. */
  get series(): number {
    return this.#series.size;
  }

  /** Minutes that wait to be saved. */
  get length(): number {
    return this.#rows.length;
  }

  /** A device that has so many minutes here that it should be taken alone. */
  get heavy(): number | undefined {
    return this.#heavy;
  }

  /** Adds the finite readings of one series. Their times may be in any order and overlap what came before. */
  add(deviceId: number, seriesId: number, readings: SeriesReadings): void {
    const { count, timesUs, values } = readings;
    const buckets = this.#bucketsOf(seriesId);
    let from = 0;
    while (from < count) {
      const startUs = Math.floor(timesUs[from]! / MINUTE_US) * MINUTE_US;
      const endUs = startUs + MINUTE_US;
      const until = readings.ascending
        ? firstNotBefore(timesUs, from + 1, count, endUs)
        : endOfRun(timesUs, from, count, endUs);
      if (startUs >= this.fromUs && sumUp(values, timesUs, from, until, this.#gain)) {
        this.#rows.merge(this.#rowOf(buckets, deviceId, seriesId, startUs), this.#gain);
      }
      from = until;
    }
  }

  /** Hands over what waits, minutes and quarters of an hour, and starts anew. */
  take(): RollupColumns {
    const rows = this.#rows;
    const minutes = rows.length;
    for (let row = 0; row < minutes; row += 1) {
      const start = Math.floor(rows.start[row]! / QUARTER_SECONDS) * QUARTER_SECONDS;
      const quarter = quarterOf(this.#owners[row]!, rows, row, start);
      rows.merge(quarter, RollupRows.read(rows, row, this.#gain));
    }
    for (const buckets of this.#owners) {
      buckets.quarter = Number.NaN;
      buckets.quarters.clear();
    }
    this.#owners.length = 0;
    this.#rows = new RollupRows();
    this.#rowsOfDevice.clear();
    this.#heavy = undefined;
    this.#fill += 1;
    if (this.#fill % FORGET_FILLS === 0) this.#forget();
    return rows;
  }

  /** Hands over what waits of one device; the rest stays. */
  takeOf(deviceId: number): RollupColumns {
    const rest = this.#rows;
    const owners = this.#owners.splice(0);
    const taken = new RollupBuffer();
    this.#rows = new RollupRows(Math.max(256, rest.length));
    this.#rowsOfDevice.clear();
    this.#heavy = undefined;
    this.#fill += 1;
    for (const [row, buckets] of owners.entries()) {
      const device = rest.deviceId[row]!;
      const series = rest.seriesId[row]!;
      const startUs = rest.start[row]! * 1e6;
      const gain = RollupRows.read(rest, row, this.#gain);
      if (device === deviceId) taken.#gainOf(taken.#bucketsOf(series), device, series, startUs, gain);
      else this.#gainOf(this.#renewed(buckets), device, series, startUs, gain);
    }
    return taken.take();
  }

  #gainOf(buckets: SeriesBuckets, deviceId: number, seriesId: number, startUs: number, gain: BucketGain): void {
    const row = this.#rowOf(buckets, deviceId, seriesId, startUs);
    this.#rows.merge(row, gain);
  }

  /** Series that have ended, or rest for long, must not stay in memory for ever. */
  #forget(): void {
    for (const [seriesId, { fill }] of this.#series) {
      if (fill < this.#fill - FORGET_FILLS) this.#series.delete(seriesId);
    }
  }

  #bucketsOf(seriesId: number): SeriesBuckets {
    let buckets = this.#series.get(seriesId);
    if (buckets === undefined) {
      buckets = {
        fill: 0,
        startUs: Number.NaN,
        row: 0,
        rows: new Map(),
        quarter: Number.NaN,
        quarterRow: 0,
        quarters: new Map(),
      };
      this.#series.set(seriesId, buckets);
    }
    return this.#renewed(buckets);
  }

  /** Without rows of an earlier fill. */
  #renewed(buckets: SeriesBuckets): SeriesBuckets {
    if (buckets.fill !== this.#fill) {
      buckets.fill = this.#fill;
      buckets.startUs = Number.NaN;
      if (buckets.rows.size > 0) buckets.rows.clear();
    }
    return buckets;
  }

  #rowOf(buckets: SeriesBuckets, deviceId: number, seriesId: number, startUs: number): number {
    if (buckets.startUs === startUs) return buckets.row;
    let row = buckets.rows.get(startUs);
    if (row === undefined) {
      row = this.#rows.open(deviceId, seriesId, MINUTE_SECONDS, startUs / 1e6);
      buckets.rows.set(startUs, row);
      this.#owners.push(buckets);
      const rows = (this.#rowsOfDevice.get(deviceId) ?? 0) + 1;
      this.#rowsOfDevice.set(deviceId, rows);
      if (rows >= HEAVY_ROWS) this.#heavy = deviceId;
    }
    buckets.startUs = startUs;
    buckets.row = row;
    return row;
  }
}

function quarterOf(buckets: SeriesBuckets, rows: RollupRows, row: number, start: number): number {
  if (buckets.quarter === start) return buckets.quarterRow;
  let quarter = buckets.quarters.get(start);
  if (quarter === undefined) {
    quarter = rows.open(rows.deviceId[row]!, rows.seriesId[row]!, QUARTER_SECONDS, start);
    buckets.quarters.set(start, quarter);
  }
  buckets.quarter = start;
  buckets.quarterRow = quarter;
  return quarter;
}

/** The first index from `from` on whose time is not before `endUs`; times ascend. */
function firstNotBefore(timesUs: Float64Array, from: number, count: number, endUs: number): number {
  if (from >= count || timesUs[count - 1]! < endUs) return count;
  let low = from;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timesUs[middle]! < endUs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where times leave the bucket or do not go up. */
function endOfRun(timesUs: Float64Array, from: number, count: number, endUs: number): number {
  let index = from + 1;
  while (index < count && timesUs[index]! < endUs && timesUs[index]! > timesUs[index - 1]!) index += 1;
  return index;
}
