import type { BufferedItem, ItemHeader } from '@tributary/agent/buffer/item-table';
import { MemoryItemTable } from '@tributary/agent/buffer/memory-item-table';
import { rowBytes } from '@tributary/agent/buffer/row-size';
import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';

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
  /** Something was refused, and no item has been committed since. */
  hasRefused = false;
  /** The checker looks at the rows: no call of the agent's. */
  isLookedAt = false;

  /** Nothing more goes wrong. */
  heal(): void {
    this.writesToPowerCut = Number.POSITIVE_INFINITY;
    this.isPowerCutAfterCommit = false;
    this.callsToFailure = Number.POSITIVE_INFINITY;
    this.failures = 0;
    this.isCommitUnconfirmed = false;
    this.bytesMax = Number.POSITIVE_INFINITY;
    this.hasRefused = false;
  }

  refusal(code: DiskRefuses['code'], detail: string): DiskRefuses {
    this.hasRefused = true;
    return new DiskRefuses(code, detail);
  }

  call(): void {
    if (this.isLookedAt) return;
    if (--this.callsToFailure > 0) return;
    if (this.failures-- > 0) throw this.refusal('io', 'input or output error');
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
export const ALL = 2 ** 40;

/** A disk that keeps the buffer's rows in memory, and fails or loses power where it is told to. */
export class FaultyTable extends MemoryItemTable {
  readonly faults: DiskFaults;
  /** Transactions that are there, whatever was said of them. */
  commits = 0;
  #hasPut = false;

  constructor() {
    const faults = new DiskFaults();
    super(() => faults.write());
    this.faults = faults;
  }

  /** The machine is without power: an open transaction is gone, and nothing more goes wrong until it is told to. */
  override crash(): void {
    super.crash();
    this.faults.heal();
  }

  /** The same rows on another disk. */
  copy(): FaultyTable {
    const copy = new FaultyTable();
    copy.begin();
    const state = this.state();
    if (state !== undefined) copy.putState(state);
    for (const item of super.items(1, ALL, ALL)) copy.put(item);
    for (const series of this.series()) copy.putSeries(series);
    for (const segment of this.segments()) copy.putSegment(segment);
    for (const anchor of this.anchors()) copy.putAnchor(anchor);
    copy.commit();
    return copy;
  }

  /** What lies there, seen from outside: no call of the agent's. */
  headersNow(): ItemHeader[] {
    return super.headers(1, ALL, ALL);
  }

  /** The newest so many batches are not there any more, nor what was counted with them. */
  loseTail(items: number): void {
    this.faults.heal();
    const state = this.state();
    if (state === undefined) return;
    const headers = super.headers(1, ALL, ALL);
    for (let left = items; left > 0; left--) {
      const last = headers.pop();
      // What only a declaration knows, or a thinned batch, must not be lost with it: that is damage, and no lost end.
      if (last?.kind !== ItemKind.BATCH || last.sequence !== state.highestSequence) break;
      state.highestSequence--;
      state.readingsProduced -= last.readings;
      state.itemsStored--;
      state.readingsStored -= last.readings;
      state.bytesStored -= rowBytes(last.bodyBytes);
    }
    super.begin();
    super.deleteRange(state.highestSequence + 1, ALL);
    this.putState(state);
    super.commit();
  }

  override begin(): void {
    this.faults.call();
    super.begin();
    this.#hasPut = false;
  }

  override commit(): void {
    const { faults } = this;
    if (this.#hasPut && (this.state()?.bytesStored ?? 0) > faults.bytesMax) {
      throw faults.refusal('full', 'no space is left');
    }
    super.commit();
    this.commits++;
    // Opening it again commits, too; what waits in memory is not on it by that.
    if (this.#hasPut) faults.hasRefused = false;
    if (faults.isCommitUnconfirmed) {
      faults.isCommitUnconfirmed = false;
      throw faults.refusal('io', 'the flush of a commit failed');
    }
    if (!faults.isPowerCutAfterCommit) return;
    faults.isPowerCutAfterCommit = false;
    throw new PowerCut('the power went after a commit');
  }

  override put(item: BufferedItem): void {
    super.put(item);
    this.#hasPut = true;
  }

  override headers(first: number, last: number, limit: number): ItemHeader[] {
    this.faults.call();
    return super.headers(first, last, limit);
  }

  override items(from: number, limit: number, maxBytes: number): BufferedItem[] {
    this.faults.call();
    return super.items(from, limit, maxBytes);
  }
}
