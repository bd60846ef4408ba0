import type { AlertTable } from '@tributary/agent/buffer/alert-table';
import type {
  BufferedItem,
  BufferState,
  ClockIds,
  ItemHeader,
  ItemTable,
  QuarantineNote,
} from '@tributary/agent/buffer/item-table';
import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';
import { ALL, type FaultyTable } from './faulty-table.js';
import type { Production } from './ledger.js';

/** What one transaction of a buffer changed, be it on its disk or in front of it. */
export interface TableChange {
  before: BufferState | undefined;
  after: BufferState;
  put: Item[];
  deleted: Item[];
  /** What was being appended: it took the first sequences after those of before. */
  appending: readonly Production[];
  /** The sequences above this one are taken back, because a commit that had failed was there after all. */
  withdrawnTo: number | undefined;
}

/** The table that a buffer's policy works on, its disk or what lies in front of it; tells what each commit changed. */
export class WatchedTable implements ItemTable {
  /** What is being appended; told with the commit. */
  appending: readonly Production[] = [];
  /** Set while a failed call is taken back. */
  withdrawnTo: number | undefined;
  readonly #table: ItemTable;
  readonly #disk: FaultyTable;
  readonly #watch: (change: TableChange) => void;
  #before: BufferState | undefined;
  #put: BufferedItem[] = [];
  #deleted: Item[] = [];

  constructor(table: ItemTable, disk: FaultyTable, watch: (change: TableChange) => void) {
    this.#table = table;
    this.#disk = disk;
    this.#watch = watch;
  }

  begin(): void {
    this.#table.begin();
    this.#before = this.#table.state();
    this.#put = [];
    this.#deleted = [];
  }

  commit(): void {
    const after = this.#table.state()!;
    const { commits } = this.#disk;
    try {
      this.#table.commit();
    } catch (error) {
      // It is there nevertheless.
      if (this.#disk.commits > commits) this.#tell(after);
      throw error;
    }
    this.#tell(after);
  }

  clearCatalogue(): void {
    this.#table.clearCatalogue();
  }

  dropClocks(below: ClockIds): void {
    this.#table.dropClocks(below);
  }

  rollback(): void {
    this.#table.rollback();
  }

  state(): BufferState | undefined {
    return this.#table.state();
  }

  putState(state: BufferState): void {
    this.#table.putState(state);
  }

  put(item: BufferedItem): void {
    this.#table.put(item);
    this.#put.push(item);
  }

  deleteRange(first: number, last: number): void {
    const { faults } = this.#disk;
    faults.isLookedAt = true;
    for (const item of this.#table.items(first, Math.min(ALL, last - first + 1), ALL)) {
      if (item.sequence > last) break;
      this.#deleted.push(item);
    }
    faults.isLookedAt = false;
    this.#table.deleteRange(first, last);
  }

  headers(first: number, last: number, limit: number): ItemHeader[] {
    return this.#table.headers(first, last, limit);
  }

  totals(): { items: number; readings: number } {
    return this.#table.totals();
  }

  headerBefore(sequence: number): ItemHeader | undefined {
    return this.#table.headerBefore(sequence);
  }

  items(from: number, limit: number, maxBytes: number): BufferedItem[] {
    return this.#table.items(from, limit, maxBytes);
  }

  putQuarantined(item: Item, note: QuarantineNote, keepItems: number): void {
    this.#table.putQuarantined(item, note, keepItems);
  }

  series(): SeriesDeclaration[] {
    return this.#table.series();
  }

  putSeries(series: SeriesDeclaration): void {
    this.#table.putSeries(series);
  }

  segments(): SegmentDeclaration[] {
    return this.#table.segments();
  }

  putSegment(segment: SegmentDeclaration): void {
    this.#table.putSegment(segment);
  }

  anchors(): ClockAnchor[] {
    return this.#table.anchors();
  }

  putAnchor(anchor: ClockAnchor): void {
    this.#table.putAnchor(anchor);
  }

  get alerts(): AlertTable {
    return this.#table.alerts;
  }

  #tell(after: BufferState): void {
    const gives = after.highestSequence > (this.#before?.highestSequence ?? 0);
    this.#watch({
      before: this.#before,
      after,
      put: this.#put,
      deleted: this.#deleted,
      // One that gives no sequences is another commit: a buffer that was opened anew says again that it sends.
      appending: gives ? this.appending : [],
      withdrawnTo: this.withdrawnTo,
    });
  }
}
