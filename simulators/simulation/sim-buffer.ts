import type { AppendNotes, AppendOutcome, BufferIdentity, EncodedBatch } from '@tributary/agent/buffer/buffer';
import type { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { DeferredItemTable, type DeferredOptions } from '@tributary/agent/buffer/deferred-item-table';
import type { ItemTable } from '@tributary/agent/buffer/item-table';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { DiskRefuses, type FaultyTable } from './faulty-table.js';
import { type TableChange, WatchedTable } from './watched-table.js';

/** Makes a buffer of a table; a test may plant a bug here. */
export type OpenBuffer = (table: ItemTable, quotaBytes: number, newEpoch: Uint8Array) => BufferCore;

/** What is found to be missing at the end of a disk. */
export interface Recovery {
  /** Sequences up to this one, and so many readings in all, may have been used. */
  reservedSequence: number;
  reservedReadings: number;
}

export interface SimBufferOptions {
  disk: FaultyTable;
  /** Told of each commit. */
  watch: (change: TableChange) => void;
  quotaBytes: number;
  newEpoch(): Uint8Array;
  open: OpenBuffer;
  /** Durability is deferred; undefined for immediate. */
  deferred: DeferredOptions | undefined;
  /** Readings that can be in memory before the first append is on disk. */
  crashBound: number;
  recovery: Recovery | undefined;
}

/** What is evicted beyond the need when the disk refuses. */
const RELIEF_BYTES = 4 * 1024;

/**
 * The buffer on a disk that fails, as the agent's `BufferEngine` has it: after an error the table is closed, the call
 * counts as not done, and the table is opened again, now or with the next call. What turns out to be there of the failed
 * call is taken back.
 */
export class SimBuffer {
  readonly #table: WatchedTable;
  readonly #disk: FaultyTable;
  /** Outlives what it is attached to. */
  readonly #deferred: DeferredItemTable | undefined;
  readonly #open: () => BufferCore;
  #core: BufferCore | undefined;
  #previous: BufferCore | undefined;
  #identity: BufferIdentity;

  /** Throws what the disk throws. */
  constructor(options: SimBufferOptions) {
    const { disk, watch, quotaBytes, newEpoch, open, deferred, crashBound, recovery } = options;
    this.#disk = disk;
    this.#deferred = deferred === undefined ? undefined : new DeferredItemTable(disk, deferred);
    this.#table = new WatchedTable(this.#deferred ?? disk, disk, watch);
    this.#open = () => open(this.#table, quotaBytes, newEpoch());
    this.#core = this.#open();
    if (recovery !== undefined) recover(this.#core, recovery);
    this.#core.beginRun(crashBound);
    this.#identity = this.#core.identity('clean');
  }

  get table(): WatchedTable {
    return this.#table;
  }

  get identity(): BufferIdentity {
    return this.#identity;
  }

  /** As it was when it could last be read. */
  get last(): BufferCore {
    return (this.#core ?? this.#previous)!;
  }

  /** When {@link flush} is due, on the clock of the options; undefined while nothing is deferred. */
  get flushAtMs(): number | undefined {
    return this.#deferred?.flushAtMs;
  }

  /** Writes what was deferred and has waited for its acknowledgement for as long as the loss window. */
  flush(nowMs: number): void {
    this.run((core) => {
      core.deleteAcknowledged();
      const atMs = this.#deferred?.flushAtMs;
      if (atMs !== undefined && atMs <= nowMs) this.#deferred?.flush();
    });
  }

  append(batches: readonly EncodedBatch[], notes: AppendNotes): AppendOutcome {
    try {
      return this.run((core) => core.append(batches, undefined, notes));
    } catch (error) {
      if (!(error instanceof DiskRefuses) || error.code !== 'full' || this.#core === undefined) throw error;
      // The file may not grow: what is evicted leaves its pages to what comes.
      const relieved = Math.max(0, this.#core.state.bytesStored - RELIEF_BYTES);
      return this.run((core) => core.append(batches, relieved, notes));
    }
  }

  openEpoch(epoch: Uint8Array): BufferIdentity {
    this.run((core) => core.openEpoch(epoch));
    this.#identity = this.last.identity('clean');
    return this.#identity;
  }

  /** One call of the policy, as one transaction. Throws `DiskRefuses` when it counts as not done. */
  run<T>(act: (core: BufferCore) => T): T {
    this.#core ??= this.#reopened();
    try {
      return act(this.#core);
    } catch (error) {
      if (!(error instanceof DiskRefuses)) throw error;
      this.#previous = this.#core;
      this.#core = undefined;
      this.#reopenQuietly();
      throw error;
    }
  }

  /** Whatever is committed here is none of what was to be appended. */
  #reopened(): BufferCore {
    const { appending } = this.#table;
    this.#table.appending = [];
    try {
      this.#deferred?.attach(this.#disk);
      const core = this.#open();
      this.#takeOver(core);
      core.amend({ isClosed: false });
      this.#previous = undefined;
      const isSame = Buffer.compare(core.state.epoch, this.#identity.epoch) === 0;
      if (!isSame) this.#identity = core.identity('clean');
      return core;
    } finally {
      this.#table.appending = appending;
      this.#table.withdrawnTo = undefined;
    }
  }

  #takeOver(core: BufferCore): void {
    const previous = this.#previous;
    if (previous === undefined || Buffer.compare(previous.state.epoch, core.state.epoch) !== 0) return;
    this.#table.withdrawnTo = previous.state.highestSequence;
    core.withdraw(previous);
    this.#table.withdrawnTo = undefined;
    core.resume(previous);
  }

  #reopenQuietly(): void {
    try {
      this.#core = this.#reopened();
    } catch (error) {
      // The next call tries again, and says why it cannot.
      if (!(error instanceof DiskRefuses)) throw error;
    }
  }
}

/** What the agent's `BufferEngine` does with a file whose end is lost: nobody can say what was there, and what of it went up. */
function recover(core: BufferCore, { reservedSequence, reservedReadings }: Recovery): void {
  const { epoch, highestSequence, readingsProduced } = core.state;
  // It was written down already, and the power went before anything else was.
  if (highestSequence >= reservedSequence) return;
  const readings = reservedReadings - readingsProduced;
  const [first, last] = [highestSequence + 1, reservedSequence];
  const change = { highestSequence: last, readingsProduced: reservedReadings, isSuspect: true };
  core.amend(change, [{ epoch, first, last, readings, bound: true, reason: LossReason.CRASH_WINDOW }]);
  core.markInDoubt([{ first: 1, last: core.state.highestSequence }]);
}

/** Whether a call of the buffer has failed because of its disk: an expected failure, after which the agent tries again. */
export function isDiskFailure(error: unknown): error is Error {
  return error instanceof DiskRefuses || error instanceof TributaryError;
}
