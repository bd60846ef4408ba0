import type { AppendOutcome, BufferIdentity, EncodedBatch } from '@tributary/agent/buffer/buffer';
import type { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { DiskRefuses, type WatchedTable } from './watched-table.js';

/** Makes a buffer of a table; a test may plant a bug here. */
export type OpenBuffer = (table: WatchedTable, quotaBytes: number, newEpoch: Uint8Array) => BufferCore;

/** What is evicted beyond the need when the disk refuses. */
const RELIEF_BYTES = 4 * 1024;

/**
 * The buffer on a disk that fails, as the agent's `BufferEngine` has it: after an error the table is closed, the call
 * counts as not done, and the table is opened again, now or with the next call. What turns out to be there of the failed
 * call is taken back.
 */
export class SimBuffer {
  readonly #table: WatchedTable;
  readonly #open: () => BufferCore;
  #core: BufferCore | undefined;
  #previous: BufferCore | undefined;
  #identity: BufferIdentity;

  /** Throws what the table throws. */
  constructor(table: WatchedTable, quotaBytes: number, newEpoch: () => Uint8Array, open: OpenBuffer) {
    this.#table = table;
    this.#open = () => open(table, quotaBytes, newEpoch());
    this.#core = this.#open();
    this.#core.beginRun(0);
    this.#identity = this.#core.identity('clean');
  }

  get identity(): BufferIdentity {
    return this.#identity;
  }

  /** As it was when it could last be read. */
  get last(): BufferCore {
    return (this.#core ?? this.#previous)!;
  }

  append(batches: readonly EncodedBatch[]): AppendOutcome {
    try {
      return this.run((core) => core.append(batches));
    } catch (error) {
      if (!(error instanceof DiskRefuses) || error.code !== 'full' || this.#core === undefined) throw error;
      // The file may not grow: what is evicted leaves its pages to what comes.
      const relieved = Math.max(0, this.#core.state.bytesStored - RELIEF_BYTES);
      return this.run((core) => core.append(batches, relieved));
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
      const core = this.#open();
      this.#takeOver(core);
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
    core.withdraw(previous.state);
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

/** Whether a call of the buffer has failed because of its disk: an expected failure, after which the agent tries again. */
export function isDiskFailure(error: unknown): error is Error {
  return error instanceof DiskRefuses || error instanceof TributaryError;
}
