import type { BufferedItem, BufferState } from '@tributary/agent/buffer/item-table';
import { MemoryItemTable } from '@tributary/agent/buffer/memory-item-table';
import type { Item } from '@tributary/proto/items/item';
import type { Production } from './ledger.js';

/** The power went while the disk was written to. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

/** What one transaction of a buffer changed. */
export interface TableChange {
  before: BufferState | undefined;
  after: BufferState;
  put: Item[];
  deleted: Item[];
  /** What was being appended: it took the first sequences after those of before. */
  appending: readonly Production[];
}

/** When the power goes: at a write or commit that is so many away, or right after the next commit. */
class Power {
  writesLeft = Number.POSITIVE_INFINITY;
  isToFailAfterCommit = false;

  draw(): void {
    if (--this.writesLeft > 0) return;
    this.writesLeft = Number.POSITIVE_INFINITY;
    throw new PowerCut('the power went during a write');
  }
}

/** More rows and bytes than a simulated buffer has. */
const ALL = 2 ** 40;

/** The buffer's rows in memory; tells what each commit changed, and loses power where it is told to. */
export class WatchedTable extends MemoryItemTable {
  readonly power: Power;
  /** What is being appended; told with the commit. */
  appending: readonly Production[] = [];
  readonly #watch: (change: TableChange) => void;
  #before: BufferState | undefined;
  #put: Item[] = [];
  #deleted: Item[] = [];

  constructor(watch: (change: TableChange) => void) {
    const power = new Power();
    super(() => power.draw());
    this.power = power;
    this.#watch = watch;
  }

  /** The machine is without power: an open transaction is gone, and nothing more goes wrong until it is told to. */
  override crash(): void {
    super.crash();
    this.power.writesLeft = Number.POSITIVE_INFINITY;
    this.power.isToFailAfterCommit = false;
  }

  override begin(): void {
    super.begin();
    this.#before = this.state();
    this.#put = [];
    this.#deleted = [];
  }

  override commit(): void {
    super.commit();
    this.#watch({
      before: this.#before,
      after: this.state()!,
      put: this.#put,
      deleted: this.#deleted,
      appending: this.appending,
    });
    if (!this.power.isToFailAfterCommit) return;
    this.power.isToFailAfterCommit = false;
    throw new PowerCut('the power went after a commit');
  }

  override put(item: BufferedItem): void {
    super.put(item);
    this.#put.push(item);
  }

  override deleteRange(first: number, last: number): void {
    for (const item of this.items(first, ALL, ALL)) {
      if (item.sequence > last) break;
      this.#deleted.push(item);
    }
    super.deleteRange(first, last);
  }
}
