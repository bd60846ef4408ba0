import type { AppendNotes, AppendOutcome, BufferIdentity, EncodedBatch } from '@tributary/agent/buffer/buffer';
import type { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { DeferredItemTable, type DeferredOptions } from '@tributary/agent/buffer/deferred-item-table';
import type { ItemTable } from '@tributary/agent/buffer/item-table';
import { Standby } from '@tributary/agent/buffer/standby';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { DiskRefuses, FaultyTable } from './faulty-table.js';
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
  /** Items wait in memory when the disk has refused for so long; undefined for never. */
  standby: SimStandbyOptions | undefined;
}

export interface SimStandbyOptions {
  afterMs: number;
  nowMs: () => number;
  /** Memory begins to be used. Answers who is to be told of each commit there. */
  begun(): (change: TableChange) => void;
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
  readonly #standby: Standby | undefined;
  #standbyTable: WatchedTable | undefined;
  readonly #options: SimBufferOptions;
  #identity: BufferIdentity;

  /** Throws what the disk throws. */
  constructor(options: SimBufferOptions) {
    const { disk, watch, quotaBytes, newEpoch, open, deferred, crashBound, recovery, standby } = options;
    this.#options = options;
    this.#disk = disk;
    this.#deferred = deferred === undefined ? undefined : new DeferredItemTable(disk, deferred);
    this.#table = new WatchedTable(this.#deferred ?? disk, disk, watch);
    this.#open = () => open(this.#table, quotaBytes, newEpoch());
    this.#core = this.#open();
    if (standby !== undefined) {
      const newTable = () => {
        const memory = new FaultyTable();
        this.#standbyTable = new WatchedTable(memory, memory, standby.begun());
        return this.#standbyTable;
      };
      this.#standby = new Standby({ afterMs: standby.afterMs, quotaBytes, newTable });
    }
    if (recovery !== undefined) recover(this.#core, recovery);
    this.#core.beginRun(crashBound);
    this.#identity = this.#core.identity('clean');
  }

  /** The one that is used: the disk's, or memory's. */
  get table(): WatchedTable {
    return this.isOnStandby ? this.#standbyTable! : this.#table;
  }

  get isOnStandby(): boolean {
    return this.#standby?.core !== undefined;
  }

  /** That wait on a disk that is not used now. */
  get itemsAside(): number {
    return this.isOnStandby ? (this.#core ?? this.#previous)!.status().itemsWaiting : 0;
  }

  get identity(): BufferIdentity {
    return this.#identity;
  }

  /** As it was when it could last be read. */
  get last(): BufferCore {
    return (this.#standby?.core ?? this.#core ?? this.#previous)!;
  }

  /** When {@link flush} is due, on the clock of the options; undefined while nothing is deferred. */
  get flushAtMs(): number | undefined {
    return this.isOnStandby ? undefined : this.#deferred?.flushAtMs;
  }

  /** Writes what was deferred and has waited for its acknowledgement for as long as the loss window. */
  flush(nowMs: number): void {
    this.run((core) => {
      core.deleteAcknowledged();
      const atMs = this.flushAtMs;
      if (atMs !== undefined && atMs <= nowMs) this.#deferred?.flush();
    });
  }

  append(batches: readonly EncodedBatch[], notes: AppendNotes): AppendOutcome {
    if (this.#standby?.isDraining === true) throw new TributaryError('disk', 'the disk is used in a moment');
    try {
      const appended = this.run((core) => core.append(batches, undefined, notes));
      this.#standby?.taken();
      return appended;
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
    const standby = this.#standby?.core;
    if (standby !== undefined) return act(standby);
    try {
      this.#core ??= this.#reopened();
    } catch (error) {
      throw this.#refused(error);
    }
    try {
      return act(this.#core);
    } catch (error) {
      if (!(error instanceof DiskRefuses)) throw error;
      this.#close();
      this.#reopenQuietly();
      throw this.#refused(error);
    }
  }

  /** Goes back to the disk if it takes writes again, as soon as what is in memory has been delivered. */
  leaveStandby(): void {
    const identity = this.#identity;
    const open = () => {
      this.#core = this.#reopened();
      this.#identity = identity;
      return this.#core;
    };
    try {
      const core = this.#standby?.leave(this.#options.standby!.nowMs(), { open, close: () => this.#close() });
      if (core === undefined) return;
      // Until the next append more is in memory than usual.
      this.#disk.faults.hasRefused = true;
      this.#identity = core.identity('clean');
    } catch (error) {
      this.#identity = identity;
      if (!(error instanceof DiskRefuses)) throw error;
    }
  }

  get isLeavingStandby(): boolean {
    return this.#standby?.isDraining === true;
  }

  #close(): void {
    this.#previous = this.#core ?? this.#previous;
    this.#core = undefined;
  }

  /** The disk takes nothing; after a while items wait in memory. Answers what the caller is told. */
  #refused(error: unknown): unknown {
    const { standby, newEpoch } = this.#options;
    if (this.#standby === undefined || !(error instanceof DiskRefuses)) return error;
    if (this.#standby.refused(standby!.nowMs()) && this.#core === undefined) {
      this.#identity = this.#standby.begin(this.#previous, newEpoch(), error.message);
    }
    return error;
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
