import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import type { AppendOutcome, BufferIdentity, EncodedBatch, LineMoment } from './buffer.js';
import { BufferCore } from './buffer-core.js';
import {
  isDamage,
  isStorageFailure,
  lockBuffer,
  type OpenedFile,
  openBufferFile,
  replaceBufferFile,
} from './buffer-file.js';
import { DeferredItemTable } from './deferred-item-table.js';
import type { BufferState, ItemTable } from './item-table.js';
import { CORRUPT } from './loss-entries.js';
import { PAGE_BYTES } from './row-size.js';
import { SqliteItemTable } from './sqlite-item-table.js';

export interface BufferEngineOptions {
  /** The database; `-lock`, `-wal` and `.damaged-1`, `.damaged-2` lie beside it. */
  path: string;
  /** Bytes that the rows may take on disk. */
  quotaBytes: number;
  /** 16 random bytes, new at each call. */
  newEpoch: () => Uint8Array;
  /** The disk is taken as full when it has less than this left; the default leaves a checkpoint its room. */
  freeDiskBytesMin?: number;
  /** Readings that can be in memory before the first append is on disk, as `BufferState.crashBound`; 0 by default. */
  crashBound?: number;
  /** Durability is deferred: a batch is written when it has waited so long for its acknowledgement, in milliseconds. */
  lossWindowMs?: number;
  /** Monotonic milliseconds, for the loss window. */
  nowMs?: () => number;
}

/** A log of 256 pages and its checkpoint, and whatever else writes in the meantime. */
const FREE_DISK_BYTES_MIN = 1 << 20;
/** What is evicted beyond the need when the disk refuses. */
const RELIEF_BYTES = 64 * 1024;

/**
 * The buffer on a disk that fails: opens the file, runs the policy on it, and after an error closes, treats the call as
 * not done, and opens again, now or with the next call. Synchronous; the worker is its host.
 */
export class BufferEngine {
  readonly #options: BufferEngineOptions;
  readonly #lock: Database.Database;
  #db: Database.Database | undefined;
  /** With deferred durability: outlives the file that it is attached to. */
  #deferred: DeferredItemTable | undefined;
  #core: BufferCore | undefined;
  /** The core of the file that was closed after an error: what it knew, until a new one has taken over. */
  #previous: BufferCore | undefined;
  #identity: BufferIdentity;

  /** Throws a `TributaryError`: `busy`, `unsupported`, `disk-full` or `disk`. */
  constructor(options: BufferEngineOptions) {
    this.#options = options;
    try {
      this.#lock = lockBuffer(options.path);
    } catch (error) {
      throw unavailable(options.path, error);
    }
    try {
      const { opened } = this.#open();
      this.#core!.beginRun(options.crashBound ?? 0);
      this.#identity = this.#core!.identity(opened);
    } catch (error) {
      this.close();
      throw unavailable(options.path, error);
    }
  }

  /** As of the opening, of `openEpoch`, or of the recovery from damage: a new object then. */
  get identity(): BufferIdentity {
    return this.#identity;
  }

  /** As `Buffer.append`. Throws a `TributaryError` `disk-full` or `disk` when nothing was written. */
  append(batches: readonly EncodedBatch[], crashBound?: number, line?: LineMoment): AppendOutcome {
    const isFull = this.#diskIsFull();
    try {
      return this.run((core) =>
        core.append(batches, isFull ? this.#bytesWithoutGrowth(core) : undefined, crashBound, line),
      );
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'disk-full' || this.#core === undefined) throw error;
      // The file may not grow: what is evicted leaves its pages to what comes.
      const relieved = Math.max(0, this.#core.state.bytesStored - RELIEF_BYTES);
      return this.run((core) => core.append(batches, relieved, crashBound, line));
    }
  }

  openEpoch(): BufferIdentity {
    this.run((core) => core.openEpoch(this.#options.newEpoch()));
    this.#identity = this.#core!.identity('clean');
    return this.#identity;
  }

  /** When {@link flush} is due, in milliseconds of the options' clock; undefined while nothing is deferred. */
  get flushAtMs(): number | undefined {
    return this.#deferred?.flushAtMs;
  }

  /** Writes what was deferred and has waited for its acknowledgement for as long as the loss window. */
  flush(): void {
    this.run((core) => {
      core.deleteAcknowledged();
      const atMs = this.#deferred?.flushAtMs;
      if (atMs !== undefined && atMs <= this.#nowMs()) this.#deferred?.flush();
    });
  }

  storeAlerts(alerts: readonly Alert[]): Alert[] {
    return this.run((core) => core.storeAlerts(alerts));
  }

  /** One call of the policy, as one transaction. */
  run<T>(act: (core: BufferCore) => T): T {
    const { path } = this.#options;
    try {
      if (this.#core === undefined) this.#identity = this.#open();
    } catch (error) {
      throw unavailable(path, error);
    }
    try {
      return act(this.#core!);
    } catch (error) {
      if (!isDamage(error) && !isStorageFailure(error)) throw error;
      this.#closeFile();
      this.#reopenQuietly(isDamage(error));
      throw unavailable(path, error);
    }
  }

  close(): void {
    this.#closeFile();
    this.#lock.close();
  }

  /** Opens the file and carries over what only memory knew. Throws what SQLite throws. */
  #open(replace = false): BufferIdentity {
    const { path, quotaBytes, newEpoch } = this.#options;
    const file = replace ? replaceBufferFile(path, quotaBytes) : openBufferFile(path, quotaBytes);
    this.#db = file.db;
    try {
      const core = new BufferCore(this.#layered(new SqliteItemTable(file.db)), quotaBytes, newEpoch());
      this.#takeOver(core, file);
      this.#core = core;
      this.#previous = undefined;
      const isSame = Buffer.compare(core.state.epoch, this.#identity?.epoch ?? new Uint8Array(0)) === 0;
      return isSame ? this.#identity : core.identity(file.opened);
    } catch (error) {
      this.#closeFile();
      if (replace || !isDamage(error)) throw error;
      return this.#open(true);
    }
  }

  #layered(disk: SqliteItemTable): ItemTable {
    const { lossWindowMs } = this.#options;
    if (lossWindowMs === undefined) return disk;
    if (this.#deferred === undefined) {
      this.#deferred = new DeferredItemTable(disk, { lossWindowMs, nowMs: () => this.#nowMs() });
    } else this.#deferred.attach(disk);
    return this.#deferred;
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  #takeOver(core: BufferCore, file: OpenedFile): void {
    const previous = this.#previous;
    if (previous !== undefined && Buffer.compare(previous.state.epoch, core.state.epoch) === 0) {
      // A failed commit may be in the log. It is moved to the database and flushed before anybody builds on it.
      file.db.pragma('wal_checkpoint(TRUNCATE)');
      core.withdraw(previous.state);
      core.resume(previous);
    }
    const lost = file.lost ?? (file.opened === 'recovered' ? previous?.state : undefined);
    if (lost !== undefined && lost.highestSequence > 0) core.declare([lossOf(lost)]);
  }

  #reopenQuietly(replace: boolean): void {
    try {
      this.#identity = this.#open(replace);
    } catch {
      // The next call tries again, and says why it cannot.
    }
  }

  #closeFile(): void {
    this.#previous = this.#core ?? this.#previous;
    this.#core = undefined;
    try {
      this.#db?.close();
    } finally {
      this.#db = undefined;
    }
  }

  /** What rows can take in the pages that the file has, a tenth left for inner pages. */
  #bytesWithoutGrowth(core: BufferCore): number {
    const freePages = this.#db?.pragma('freelist_count', { simple: true }) as number;
    return core.state.bytesStored + Math.floor(freePages * PAGE_BYTES * 0.9);
  }

  #diskIsFull(): boolean {
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#options.path));
      return bavail * bsize < (this.#options.freeDiskBytesMin ?? FREE_DISK_BYTES_MIN);
    } catch {
      // A file system that does not say has to refuse by itself.
      return false;
    }
  }
}

/** What may be lost with a file: the rows that waited, and what waiting declarations declared. Stored beats declared. */
function lossOf(lost: Readonly<BufferState>): Parameters<BufferCore['declare']>[0][number] {
  const { epoch, highestSequence, readingsStored, readingsEvicted } = lost;
  const readings = readingsStored + readingsEvicted;
  return { epoch, first: 1, last: highestSequence, readings, bound: true, reason: CORRUPT };
}

function unavailable(path: string, error: unknown): TributaryError {
  if (isDamage(error)) {
    return new TributaryError('corrupt', `${path}: it was damaged, and has been moved aside`, { cause: error });
  }
  if (!isStorageFailure(error)) return TributaryError.from(error);
  if (error.code.startsWith('SQLITE_FULL')) {
    return new TributaryError('disk-full', `${path}: no space is left for the buffer`, { cause: error });
  }
  return new TributaryError('disk', `${path}: the disk refused (${error.code}: ${error.message})`, { cause: error });
}
