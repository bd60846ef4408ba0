import type { ColumnType } from '@tributary/proto/batch/batch';
import { STATE_BYTES_MAX, utf8Bytes } from '../sensors/series-limits.js';
import type { RowSink, SeriesSpec } from '../sensors/source.js';
import type { BatchDropReason } from './drop-reason.js';
import { seriesKey } from './series-key.js';

/** Takes the whole rows of a group. */
export interface RowTarget {
  readonly types: readonly ColumnType[];
  /** A new series, numbered in the order of the calls; false when it will never be stored, and its values are dropped. */
  addSeries(spec: SeriesSpec): boolean;
  /** A whole row: `stage.count` values, of the series in `stage.indexes`. */
  row(timeUs: number, stage: RowStage): void;
  drop(reason: BatchDropReason, readings: number): void;
}

/**
 * The sink of one group. A row is held here until its end, so that a row that is begun and never ended leaves nothing, one
 * without values costs nothing, and where a series is given twice in a row the last value counts.
 */
export class RowStage implements RowSink {
  readonly #target: RowTarget;
  readonly #indexByKey = new Map<string, number>();
  readonly #refused: boolean[] = [];
  #timeUs = 0;
  #rowNumber = 0;
  /** The row that last gave a value to the series. */
  readonly #rowOf: number[] = [];
  /** Of the current row, in the order they came. */
  readonly indexes: number[] = [];
  count = 0;
  /** By series. */
  readonly numbers: number[] = [];
  readonly texts: string[] = [];

  constructor(target: RowTarget) {
    this.#target = target;
  }

  addSeries(spec: SeriesSpec): number {
    const key = `${spec.type} ${seriesKey(spec)}`;
    const known = this.#indexByKey.get(key);
    if (known !== undefined) return known;
    const index = this.#rowOf.push(0) - 1;
    this.#indexByKey.set(key, index);
    this.numbers.push(0);
    this.texts.push('');
    this.#refused.push(!this.#target.addSeries(spec));
    return index;
  }

  begin(timeUs: number): void {
    this.#timeUs = timeUs;
    this.#rowNumber += 1;
    this.count = 0;
  }

  number(index: number, value: number): void {
    if (this.#touch(index, 'double')) this.numbers[index] = value;
  }

  boolean(index: number, value: boolean): void {
    if (this.#touch(index, 'boolean')) this.numbers[index] = value ? 1 : 0;
  }

  string(index: number, value: string): void {
    if (value.length > STATE_BYTES_MAX || utf8Bytes(value) > STATE_BYTES_MAX) {
      this.#target.drop('string_too_long', 1);
    } else if (this.#touch(index, 'string')) {
      this.texts[index] = value;
    }
  }

  end(): void {
    if (this.count === 0) return;
    if (Number.isSafeInteger(this.#timeUs)) this.#target.row(this.#timeUs, this);
    else this.#target.drop('time_range', this.count);
    this.count = 0;
  }

  #touch(index: number, type: ColumnType): boolean {
    // A source that mixes types is a bug of the source.
    if (this.#target.types[index] !== type) throw new TypeError(`series ${index} of this group is not of type ${type}`);
    if (this.#refused[index]) {
      this.#target.drop('series_refused', 1);
      return false;
    }
    if (this.#rowOf[index] !== this.#rowNumber) {
      this.#rowOf[index] = this.#rowNumber;
      this.indexes[this.count] = index;
      this.count += 1;
    }
    return true;
  }
}
