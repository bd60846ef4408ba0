import type { BufferedItem, BufferState, ItemHeader } from '@tributary/agent/buffer/item-table';
import { MemoryItemTable } from '@tributary/agent/buffer/memory-item-table';
import type { Item } from '@tributary/proto/items/item';
import type { Production } from './ledger.js';

/** The power went while the disk was written to. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

/** The disk refuses a call, and the machine goes on. */
export class DiskRefuses extends Error {
  override readonly name = 'DiskRefuses';
  readonly code: 'full' | 'io';

  constructor(code: 'full' | 'io', detail: string) {
    super(detail);
    this.code = code;
  }
}

/** What one transaction of a buffer changed. */
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

/** How the disk fails next, and when the power goes. */
export class DiskFaults {
  /** The power goes at a write or commit that is so many away. */
  writesToPowerCut = Number.POSITIVE_INFINITY;
  isPowerCutAfterCommit = false;
  /** So many calls succeed, then so many fail. */
  callsToFailure = Number.POSITIVE_INFINITY;
  failures = 0;
  /** The next commit fails, and is there nevertheless. */
  isCommitUnconfirmed = false;
  /** The rows must not take more bytes than this. */
  bytesMax = Number.POSITIVE_INFINITY;

  /** Nothing more goes wrong. */
  heal(): void {
    this.writesToPowerCut = Number.POSITIVE_INFINITY;
    this.isPowerCutAfterCommit = false;
    this.callsToFailure = Number.POSITIVE_INFINITY;
    this.failures = 0;
    this.isCommitUnconfirmed = false;
    this.bytesMax = Number.POSITIVE_INFINITY;
  }

  call(): void {
    if (--this.callsToFailure > 0) return;
    if (this.failures-- > 0) throw new DiskRefuses('io', 'input or output error');
    this.callsToFailure = Number.POSITIVE_INFINITY;
    this.failures = 0;
  }

  write(): void {
    this.call();
    if (--this.writesToPowerCut > 0) return;
    this.writesToPowerCut = Number.POSITIVE_INFINITY;
    throw new PowerCut('the power went during a write');
  }
}

/** More rows and bytes than a simulated buffer has. */
const ALL = 2 ** 40;

/** The buffer's rows in memory; tells what each commit changed, and fails or loses power where it is told to. */
export class WatchedTable extends MemoryItemTable {
  readonly faults: DiskFaults;
  /** What is being appended; told with the commit. */
  appending: readonly Production[] = [];
  /** Set while a failed call is taken back. */
  withdrawnTo: number | undefined;
  #watch: ((change: TableChange) => void) | undefined;
  #before: BufferState | undefined;
  #put: BufferedItem[] = [];
  #deleted: Item[] = [];

  constructor(watch?: (change: TableChange) => void) {
    const faults = new DiskFaults();
    super(() => faults.write());
    this.faults = faults;
    this.#watch = watch;
  }

  /** The machine is without power: an open transaction is gone, and nothing more goes wrong until it is told to. */
  override crash(): void {
    super.crash();
    this.faults.heal();
    this.appending = [];
    this.withdrawnTo = undefined;
  }

  /** The same rows on another disk. */
  copy(watch: ((change: TableChange) => void) | undefined): WatchedTable {
    const copy = new WatchedTable();
    copy.begin();
    const state = this.state();
    if (state !== undefined) copy.putState(state);
    for (const item of super.items(1, ALL, ALL)) copy.put(item);
    for (const series of this.series()) copy.putSeries(series);
    for (const segment of this.segments()) copy.putSegment(segment);
    for (const anchor of this.anchors()) copy.putAnchor(anchor);
    copy.commit();
    copy.#watch = watch;
    return copy;
  }

  /** What lies there, seen from outside: no call of the agent's. */
  headersNow(): ItemHeader[] {
    return super.headers(1, ALL, ALL);
  }

  override begin(): void {
    this.faults.call();
    super.begin();
    this.#before = this.state();
    this.#put = [];
    this.#deleted = [];
  }

  override commit(): void {
    const after = this.state();
    if (after !== undefined && after.bytesStored > this.faults.bytesMax && this.#put.length > 0) {
      throw new DiskRefuses('full', 'no space is left');
    }
    super.commit();
    const gives = (after?.highestSequence ?? 0) > (this.#before?.highestSequence ?? 0);
    this.#watch?.({
      before: this.#before,
      after: after!,
      put: this.#put,
      deleted: this.#deleted,
      // One that gives no sequences is another commit: a buffer that was opened anew says again that it sends.
      appending: gives ? this.appending : [],
      withdrawnTo: this.withdrawnTo,
    });
    if (this.faults.isCommitUnconfirmed) {
      this.faults.isCommitUnconfirmed = false;
      throw new DiskRefuses('io', 'the flush of a commit failed');
    }
    if (!this.faults.isPowerCutAfterCommit) return;
    this.faults.isPowerCutAfterCommit = false;
    throw new PowerCut('the power went after a commit');
  }

  override put(item: BufferedItem): void {
    super.put(item);
    this.#put.push(item);
  }

  override headers(first: number, last: number, limit: number): ItemHeader[] {
    this.faults.call();
    return super.headers(first, last, limit);
  }

  override items(from: number, limit: number, maxBytes: number): BufferedItem[] {
    this.faults.call();
    return super.items(from, limit, maxBytes);
  }

  override deleteRange(first: number, last: number): void {
    for (const item of super.items(first, ALL, ALL)) {
      if (item.sequence > last) break;
      this.#deleted.push(item);
    }
    super.deleteRange(first, last);
  }
}
