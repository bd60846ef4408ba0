import type { ColumnType } from '@tributary/proto/batch/batch';
import type { SeriesSpec, TimeLine } from '../sensors/source.js';
import { GroupStore } from './group-store.js';
import type { RowStage } from './row-stage.js';

/** Empty stores that a group keeps: one is open, one is being encoded, one is closed behind it. */
const FREE_STORES_MAX = 2;

/** What a row adds to its batch. */
export interface RowCost {
  bytes: number;
  strings: number;
  stringBytes: number;
}

/** A group across batches: its series, the store that is open, and empty ones to go on with. */
export class BatchGroup {
  readonly line: TimeLine;
  readonly specs: SeriesSpec[] = [];
  readonly types: ColumnType[] = [];
  /** By series. */
  readonly isProtected: boolean[] = [];
  readonly #protects: (spec: SeriesSpec) => boolean;
  readonly #free: GroupStore[] = [];
  #open = new GroupStore();

  constructor(line: TimeLine, protects: (spec: SeriesSpec) => boolean) {
    this.line = line;
    this.#protects = protects;
  }

  get open(): GroupStore {
    return this.#open;
  }

  addSeries(spec: SeriesSpec): void {
    this.specs.push(spec);
    this.types.push(spec.type);
    this.isProtected.push(this.#protects(spec));
    this.#open.addColumn(spec.type);
  }

  /** What the row in `stage` costs in the open batch, written into `cost`. */
  measure(stage: RowStage, cost: RowCost): void {
    const { indexes, count, texts } = stage;
    cost.bytes = 8;
    cost.strings = 0;
    cost.stringBytes = 0;
    for (let at = 0; at < count; at += 1) {
      const index = indexes[at];
      const type = this.types[index];
      cost.bytes += type === 'double' ? 8 : 1;
      if (type !== 'string' || this.#open.columns[index].knows(texts[index])) continue;
      const bytes = Buffer.byteLength(texts[index], 'utf8');
      cost.strings += 1;
      cost.stringBytes += bytes;
      cost.bytes += bytes;
    }
  }

  append(timeUs: number, stage: RowStage): void {
    const { indexes, count, numbers, texts } = stage;
    const { columns } = this.#open;
    const row = this.#open.appendRow(timeUs);
    for (let at = 0; at < count; at += 1) {
      const index = indexes[at];
      const column = columns[index];
      if (column.type === 'string') column.appendText(row, texts[index]);
      else column.append(row, numbers[index]);
    }
    this.#open.readings += count;
  }

  /** Hands over the rows so far and goes on with an empty store; undefined when there are none. */
  detach(): GroupStore | undefined {
    if (this.#open.rows === 0) return undefined;
    const full = this.#open;
    this.#open = this.#free.pop() ?? new GroupStore();
    this.#open.reset(this.types);
    return full;
  }

  /** Takes a store back that nobody reads any more. */
  recycle(store: GroupStore): void {
    if (this.#free.length < FREE_STORES_MAX) this.#free.push(store);
  }
}
