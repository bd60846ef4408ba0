import { normalRanges, rangeOf, rangesWithout } from '@tributary/core/sequence-ranges/sequence-ranges';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { ForwardedAlertTable } from './alert-table.js';
import {
  type BufferedItem,
  type BufferState,
  type ClockIds,
  headerOf,
  type ItemHeader,
  type ItemTable,
  type QuarantineNote,
} from './item-table.js';
import { rowBytes } from './row-size.js';
import { SequenceReserve } from './sequence-reserve.js';

const BATCH: ItemKind.BATCH = 1;

/** Rows in memory before they are written though they are younger than the loss window: what a device can spare. */
const RECENT_BYTES_MAX = 1 << 20;

export interface DeferredOptions {
  /** How long a row may wait in memory for its acknowledgement, in milliseconds. */
  lossWindowMs: number;
  /** Monotonic milliseconds. */
  nowMs(): number;
}

/** A row that the disk does not have. */
interface Recent {
  item: BufferedItem;
  sinceMs: number;
}

/** What is in memory, replaced as a whole by each change of it but for `recent`. */
interface Memory {
  state: BufferState | undefined;
  /** In order; every one has a higher sequence than any row on the disk. */
  recent: Recent[];
  recentBytes: number;
  /** On the disk still, and deleted with its next transaction. */
  deleted: readonly SequenceRange[];
}

/**
 * A table whose newest batches are in memory for a while, in front of the table on the disk: a row that is deleted before
 * it was written costs nothing.
 *
 * A transaction that does anything but append batches and delete becomes a transaction of the disk, which takes everything
 * in memory along. So the disk always has the state of one moment, and what is not on it has a sequence of those that are
 * reserved.
 */
export class DeferredItemTable implements ItemTable {
  readonly alerts = new ForwardedAlertTable(
    () => this.#disk.alerts,
    () => this.#goThrough(),
  );
  readonly #options: DeferredOptions;
  readonly #reserve = new SequenceReserve();
  #disk: ItemTable;
  /** As the disk has it. */
  #written: BufferState | undefined;
  #memory: Memory = { state: undefined, recent: [], recentBytes: 0, deleted: [] };
  #undo: Memory | undefined;
  /** The transaction is one of the disk. */
  #isThrough = false;

  constructor(disk: ItemTable, options: DeferredOptions) {
    this.#options = options;
    this.#disk = disk;
    this.attach(disk);
  }

  /**
   * Goes on with a disk that was opened anew after an error. What is in memory stays, unless the disk has another state
   * than was written last: then the transaction that failed is there after all, with all that was in memory.
   */
  attach(disk: ItemTable): void {
    this.#disk = disk;
    const found = disk.state();
    if (!isSame(found, this.#written)) this.#memory = { state: found, recent: [], recentBytes: 0, deleted: [] };
    this.#written = found;
    this.#undo = undefined;
    this.#isThrough = false;
  }

  /** When the oldest row in memory has waited long enough, on the clock of the options; undefined when there is none. */
  get flushAtMs(): number | undefined {
    const oldest = this.#memory.recent.at(0);
    return oldest === undefined ? undefined : oldest.sinceMs + this.#options.lossWindowMs;
  }

  /** Writes everything that is in memory, in one transaction. Throws what the disk throws. */
  flush(): void {
    if (this.#memory.recent.length === 0) return;
    this.begin();
    try {
      this.#goThrough();
      this.commit();
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  begin(): void {
    if (this.#undo !== undefined) throw new Error('a transaction is open already');
    this.#undo = this.#memory;
    this.#memory = { ...this.#memory, recent: [...this.#memory.recent] };
  }

  commit(): void {
    if (this.#isUrgent()) this.#goThrough();
    const { state } = this.#memory;
    if (this.#isThrough && state !== undefined) {
      const written = this.#reserve.written(state, this.#options.nowMs());
      this.#disk.putState(written);
      this.#disk.commit();
      this.#written = written;
    }
    this.#isThrough = false;
    this.#undo = undefined;
  }

  rollback(): void {
    const isThrough = this.#isThrough;
    this.#isThrough = false;
    this.#memory = this.#undo ?? this.#memory;
    this.#undo = undefined;
    if (isThrough) this.#disk.rollback();
  }

  state(): BufferState | undefined {
    const { state } = this.#memory;
    return state === undefined ? undefined : { ...state };
  }

  putState(state: BufferState): void {
    this.#memory.state = { ...state };
  }

  put(item: BufferedItem): void {
    const { sequence, kind, body } = item;
    const highest = this.#memory.recent.at(-1)?.item.sequence ?? this.#highestWritten;
    // A declaration speaks of other sequences than its own, which the reservation does not stand for.
    if (kind !== BATCH || sequence <= highest) this.#goThrough();
    if (this.#isThrough) {
      this.#disk.put(item);
      return;
    }
    this.#memory.recent.push({ item: { ...item }, sinceMs: this.#options.nowMs() });
    this.#memory.recentBytes += rowBytes(body.length);
  }

  deleteRange(first: number, last: number): void {
    if (this.#isThrough) {
      this.#disk.deleteRange(first, last);
      return;
    }
    const memory = this.#memory;
    const lastOnDisk = Math.min(last, this.#highestWritten);
    if (this.#visibleOnDisk(first, lastOnDisk).length > 0) {
      memory.deleted = normalRanges([...memory.deleted, { first, last: lastOnDisk }]);
    }
    const from = this.#indexFrom(first);
    for (const { item } of memory.recent.splice(from, this.#indexFrom(last + 1) - from)) {
      memory.recentBytes -= rowBytes(item.body.length);
    }
  }

  headers(first: number, last: number, limit: number): ItemHeader[] {
    const found: ItemHeader[] = [];
    for (const range of this.#visibleOnDisk(first, last)) {
      found.push(...this.#disk.headers(range.first, range.last, limit - found.length));
      if (found.length >= limit) return found;
    }
    const { recent } = this.#memory;
    for (let at = this.#indexFrom(first); at < recent.length && found.length < limit; at++) {
      const { item } = recent[at];
      if (item.sequence > last) break;
      found.push(headerOf(item));
    }
    return found;
  }

  totals(): { items: number; readings: number } {
    let { items, readings } = this.#disk.totals();
    for (const { first, last } of this.#memory.deleted) {
      for (const header of this.#disk.headers(first, last, last - first + 1)) {
        items--;
        readings -= header.readings;
      }
    }
    for (const { item } of this.#memory.recent) {
      items++;
      readings += item.readings;
    }
    return { items, readings };
  }

  headerBefore(sequence: number): ItemHeader | undefined {
    const recent = this.#memory.recent[this.#indexFrom(sequence) - 1];
    if (recent !== undefined) return headerOf(recent.item);
    for (let before = sequence; ; ) {
      const header = this.#disk.headerBefore(before);
      const hidden = header === undefined ? undefined : rangeOf(this.#memory.deleted, header.sequence);
      if (hidden === undefined) return header;
      before = hidden.first;
    }
  }

  items(from: number, limit: number, maxBytes: number): BufferedItem[] {
    const found: BufferedItem[] = [];
    let bytes = 0;
    const isFull = (): boolean => found.length >= limit || (found.length > 0 && bytes >= maxBytes);
    const add = (item: BufferedItem): void => {
      found.push(item);
      bytes += item.body.length;
    };
    for (const { first, last } of this.#visibleOnDisk(from, Number.MAX_SAFE_INTEGER)) {
      for (const item of this.#disk.items(first, limit - found.length, maxBytes - bytes)) {
        if (item.sequence <= last) add(item);
      }
      if (isFull()) return found;
    }
    const { recent } = this.#memory;
    for (let at = this.#indexFrom(from); at < recent.length && !isFull(); at++) add({ ...recent[at].item });
    return found;
  }

  putQuarantined(item: Item, note: QuarantineNote, keepItems: number): void {
    this.#goThrough();
    this.#disk.putQuarantined(item, note, keepItems);
  }

  series(): SeriesDeclaration[] {
    return this.#disk.series();
  }

  putSeries(series: SeriesDeclaration): void {
    this.#goThrough();
    this.#disk.putSeries(series);
  }

  segments(): SegmentDeclaration[] {
    return this.#disk.segments();
  }

  putSegment(segment: SegmentDeclaration): void {
    this.#goThrough();
    this.#disk.putSegment(segment);
  }

  anchors(): ClockAnchor[] {
    return this.#disk.anchors();
  }

  putAnchor(anchor: ClockAnchor): void {
    this.#goThrough();
    this.#disk.putAnchor(anchor);
  }

  dropClocks(below: ClockIds): void {
    this.#goThrough();
    this.#disk.dropClocks(below);
  }

  clearCatalogue(): void {
    this.#goThrough();
    this.#disk.clearCatalogue();
  }

  get #highestWritten(): number {
    return this.#written?.highestSequence ?? 0;
  }

  /** The parts of a range where the disk can have rows that are not deleted. */
  #visibleOnDisk(first: number, last: number): SequenceRange[] {
    if (this.#isThrough) return [{ first, last }];
    if ((this.#written?.itemsStored ?? 0) === 0 || first > this.#highestWritten) return [];
    return rangesWithout([{ first, last: Math.min(last, this.#highestWritten) }], this.#memory.deleted);
  }

  /** Makes the open transaction one of the disk, which takes along what is in memory. */
  #goThrough(): void {
    if (this.#isThrough) return;
    if (this.#undo === undefined) throw new Error('a write outside of a transaction');
    this.#disk.begin();
    this.#isThrough = true;
    const { state, recent, deleted } = this.#memory;
    for (const { first, last } of deleted) this.#disk.deleteRange(first, last);
    for (const { item } of recent) this.#disk.put(item);
    this.#memory = { state, recent: [], recentBytes: 0, deleted: [] };
  }

  /** Whether the state says something that the disk must know before anybody acts on it. */
  #isUrgent(): boolean {
    const { state, recentBytes } = this.#memory;
    const written = this.#written;
    if (state === undefined) return false;
    return (
      written === undefined ||
      recentBytes > RECENT_BYTES_MAX ||
      Buffer.compare(state.epoch, written.epoch) !== 0 ||
      state.isClosed !== written.isClosed ||
      state.isSuspect !== written.isSuspect ||
      (state.isSending && !written.isSending) ||
      state.alertCursor !== written.alertCursor ||
      // Sequences that were taken back are used again.
      state.highestSequence < written.highestSequence ||
      state.highestSequence > written.reservedSequence ||
      state.readingsProduced + state.crashBound > written.readingsProduced + written.reservedReadings
    );
  }

  /** Index of the first row in memory at or after a sequence. */
  #indexFrom(sequence: number): number {
    let low = 0;
    const { recent } = this.#memory;
    let high = recent.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (recent[middle].item.sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whether one transaction has written both: each that has items or losses in it moves one of these. */
function isSame(one: BufferState | undefined, other: BufferState | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    Buffer.compare(one.epoch, other.epoch) === 0 &&
    one.highestSequence === other.highestSequence &&
    one.readingsProduced === other.readingsProduced &&
    one.itemsStored === other.itemsStored &&
    one.itemsQuarantined === other.itemsQuarantined &&
    one.alertCursor === other.alertCursor &&
    one.isClosed === other.isClosed
  );
}
