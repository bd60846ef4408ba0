import { TributaryError } from '@tributary/core/errors/tributary-error';
import type Database from 'better-sqlite3';
import type { AppendNotes, AppendOutcome, BufferIdentity, EncodedBatch } from './buffer.js';
import { BufferCore } from './buffer-core.js';
import {
  isDamage,
  isDamageAtOpening,
  isStorageFailure,
  lockBuffer,
  type OpenedFile,
  openBufferFile,
  replaceBufferFile,
  settleLog,
} from './buffer-file.js';
import { DeferredItemTable } from './deferred-item-table.js';
import { isDiskFull } from './free-space.js';
import { type HighWaterMark, readingsTaken, reservedAbove, writeMark } from './high-water-mark.js';
import type { ItemTable } from './item-table.js';
import { MarkReserve } from './mark-reserve.js';
import { checkEveryRow, lostTail } from './open-check.js';
import { isSameEpoch } from './raw-state.js';
import { isRefusal, unavailable } from './refusal.js';
import { PAGE_BYTES } from './row-size.js';
import { MIGRATIONS } from './schema.js';
import { SqliteItemTable } from './sqlite-item-table.js';
import { Standby, type StandbyOptions } from './standby.js';

export interface BufferEngineOptions {
  /** The database; `-lock`, `-wal` and `.damaged-1`, `.damaged-2` lie beside it. */
  path: string;
  /** Bytes that the rows may take on disk. */
  quotaBytes: number;
  /** 16 random bytes, new at each call. */
  newEpoch: () => Uint8Array;
  /** The disk is taken as full when it has less than this left; by default see {@link isDiskFull}. */
  freeDiskBytesMin?: number;
  /** As in `BufferCore`; by default nothing is thinned. */
  thinningWindowMs?: number;
  /** Readings that can be in memory before the first append is on disk, as `BufferState.crashBound`; 0 by default. */
  crashBound?: number;
  /** Durability is deferred: a batch is written when it has waited so long for its acknowledgement, in milliseconds. */
  lossWindowMs?: number;
  /** Monotonic milliseconds: for the loss window, and for what limits the checks at the start. */
  nowMs?: () => number;
  /** A start after an unclean end looks at every row for so long; the rest is looked at as it is read. */
  checkMsMax?: number;
  /** Every row is looked at after an orderly end, too. */
  checksAlways?: boolean;
  /** A salvage takes so long at the most. */
  salvageMsMax?: number;
  /** Items wait in memory when the disk has taken none for a while; by default they do not. */
  standby?: StandbyOptions;
  /** The disk has refused to be opened for that long already: if it refuses again, items wait in memory at once. */
  standbyAtOnce?: boolean;
}

/** Nobody notices a start that takes two seconds more; a hundred megabytes are checked by then. */
const CHECK_MS_MAX = 2_000;
/** Sequences that calls other than an append may use between two looks at the mark. */
const MARK_SLACK = 64;

/** What is evicted beyond the need when the disk refuses. */
const RELIEF_BYTES = 64 * 1024;

/**
 * The buffer on a disk that fails: opens the file, runs the policy on it, and after an error closes, treats the call as
 * not done, and opens again, now or with the next call. Synchronous; the worker is its host.
 */
export class BufferEngine {
  readonly #options: BufferEngineOptions;
  /** Undefined where the disk refused it, and items wait in memory. */
  readonly #lock: Database.Database | undefined;
  #db: Database.Database | undefined;
  /** With deferred durability: outlives the file that it is attached to. */
  #deferred: DeferredItemTable | undefined;
  #core: BufferCore | undefined;
  /** The core of the file that was closed after an error: what it knew, until a new one has taken over. */
  #previous: BufferCore | undefined;
  #identity: BufferIdentity;
  #mark: HighWaterMark | undefined;
  readonly #markReserve: MarkReserve;
  #quarantinedBefore = 0;
  #salvages = 0;
  #log = { logBytes: 0, logSalt: 0 };
  readonly #standby: Standby | undefined;

  /** Throws a `TributaryError`: `busy`, `unsupported`, `disk-full` or `disk`. */
  constructor(options: BufferEngineOptions) {
    this.#options = options;
    this.#markReserve = new MarkReserve(options.lossWindowMs !== undefined);
    const { standby, thinningWindowMs } = options;
    this.#standby = standby === undefined ? undefined : new Standby({ ...standby, thinningWindowMs });
    try {
      this.#lock = lockBuffer(options.path);
      this.#identity = this.#open();
    } catch (error) {
      const refusal = unavailable(options.path, error);
      if (options.standbyAtOnce === true && this.#standby !== undefined && isRefusal(refusal)) {
        this.#identity = this.#standby.begin(undefined, options.newEpoch(), refusal.message);
        return;
      }
      this.close();
      throw refusal;
    }
  }

  /** As of the opening, of `openEpoch`, or of the recovery from damage: a new object then. */
  get identity(): BufferIdentity {
    return this.#identity;
  }

  /** Items that had been set aside before this opening. */
  get quarantinedBefore(): number {
    return this.#quarantinedBefore;
  }

  /** How often what could be verified was carried over to a new file. */
  get salvages(): number {
    return this.#salvages;
  }

  /** As `Buffer.append`. Throws a `TributaryError` `disk-full` or `disk` when nothing was written. */
  append(batches: readonly EncodedBatch[], notes?: AppendNotes): AppendOutcome {
    const standby = this.#standby;
    if (standby?.core !== undefined) {
      if (standby.isDraining) throw new TributaryError('disk', 'the disk takes writes again; it is used in a moment');
      return standby.core.append(batches, undefined, notes);
    }
    const { path, freeDiskBytesMin } = this.#options;
    const isFull = isDiskFull(path, freeDiskBytesMin);
    try {
      this.#reserve(
        batches.length,
        batches.reduce((sum, batch) => sum + batch.readings, 0),
      );
      const appended = this.run((core) =>
        core.append(batches, isFull ? this.#bytesWithoutGrowth(core) : undefined, notes),
      );
      this.#standby?.taken();
      return appended;
    } catch (error) {
      if (!(error instanceof TributaryError) || error.code !== 'disk-full' || this.#core === undefined) throw error;
      // The file may not grow: what is evicted leaves its pages to what comes.
      const relieved = Math.max(0, this.#core.state.bytesStored - RELIEF_BYTES);
      return this.run((core) => core.append(batches, relieved, notes));
    }
  }

  openEpoch(): BufferIdentity {
    const epoch = this.#options.newEpoch();
    const standby = this.#standby?.core;
    if (standby !== undefined) {
      const { standby: refusal } = this.#identity;
      standby.openEpoch(epoch);
      this.#identity = { ...standby.identity('clean'), ...(refusal === undefined ? {} : { standby: refusal }) };
      return this.#identity;
    }
    this.run((core) => {
      // Before the epoch is used: a log that has another epoch than database and mark is taken for a foreign one.
      this.#writeMark(core, { epoch, highestSequence: 0, readingsProduced: 0 });
      core.openEpoch(epoch);
    });
    this.#identity = this.#core!.identity('clean');
    return this.#identity;
  }

  /** When {@link flush} is due, in milliseconds of the options' clock; undefined while nothing is deferred. */
  get flushAtMs(): number | undefined {
    return this.isOnStandby ? undefined : this.#deferred?.flushAtMs;
  }

  /** Writes what was deferred and has waited for its acknowledgement for as long as the loss window. */
  flush(): void {
    this.run((core) => {
      core.deleteAcknowledged();
      const atMs = this.flushAtMs;
      if (atMs !== undefined && atMs <= this.#nowMs()) this.#deferred?.flush();
    });
  }

  /** Items wait in memory, because the disk takes none. */
  get isOnStandby(): boolean {
    return this.#standby?.core !== undefined;
  }

  /** One call of the policy, as one transaction; while the disk takes none, in memory. */
  run<T>(act: (core: BufferCore) => T): T {
    const standby = this.#standby?.core;
    return standby === undefined ? this.runOnDisk(act) : act(standby);
  }

  /** As {@link run}, of what must be on the disk. */
  runOnDisk<T>(act: (core: BufferCore) => T): T {
    const { path } = this.#options;
    if (this.isOnStandby) throw new TributaryError('disk', this.#identity.standby ?? path);
    try {
      if (this.#core === undefined) this.#identity = this.#open();
    } catch (error) {
      throw this.#refused(unavailable(path, error));
    }
    try {
      const result = act(this.#core!);
      this.#reserve(0, 0);
      return result;
    } catch (error) {
      if (!isDamage(error) && !isStorageFailure(error)) throw error;
      this.#closeFile();
      this.#reopenQuietly(isDamage(error));
      throw this.#refused(unavailable(path, error));
    }
  }

  /**
   * Goes back to the disk if it takes writes again, as soon as everything that waits in memory has been delivered; to be called
   * until {@link isOnStandby} is false. What the disk holds is settled and left for a new epoch: the collector has heard of
   * another one since. A disk that was never open stays unused until the next start, since nobody knew what it has declared
   * when memory began to be used.
   */
  leaveStandby(): void {
    if ((this.#core ?? this.#previous) === undefined) return;
    const open = () => {
      this.#open();
      return this.#core!;
    };
    try {
      const core = this.#standby?.leave(this.#nowMs(), { open, close: () => this.#closeFile() });
      if (core === undefined) return;
      this.#identity = core.identity('clean');
      this.#reserve(0, 0);
    } catch {
      // Whatever is wrong there (not mounted, a newer version's file), memory goes on; nobody waits for an answer.
    }
  }

  /** The disk takes writes again, and is used when what waits in memory has been delivered. */
  get isLeavingStandby(): boolean {
    return this.#standby?.isDraining === true;
  }

  close(): void {
    const core = this.#core;
    let isClosed = false;
    try {
      if (core?.state.isClosed === false) core.endRun();
      isClosed = core !== undefined;
    } catch {
      // The next start looks closer, that is all.
    }
    this.#closeFile();
    if (isClosed) {
      this.#log = { logBytes: 0, logSalt: 0 };
      this.#writeMark(core!, {}, false);
    }
    this.#lock?.close();
  }

  /** Opens the file and carries over what only memory knew. Throws what SQLite throws. */
  #open(replace = false): BufferIdentity {
    const { path, quotaBytes, newEpoch, nowMs, salvageMsMax, thinningWindowMs } = this.#options;
    const isFirst = this.#identity === undefined;
    const options = { newEpoch, nowMs, salvageMsMax, known: this.#previous?.state };
    const file = (replace ? replaceBufferFile : openBufferFile)(path, quotaBytes, options);
    this.#db = file.db;
    if (file.salvaged !== undefined) this.#salvages++;
    try {
      const table = this.#layered(new SqliteItemTable(file.db));
      const core = new BufferCore(table, quotaBytes, newEpoch(), thinningWindowMs);
      this.#takeOver(core, file);
      if (isFirst) core.beginRun(this.#options.crashBound ?? 0);
      else core.amend({ isClosed: false });
      // The uplink leaves an epoch for a new one once the collector has settled it; collectors take no more segments then.
      if (isFirst && core.isCrowded) core.amend({ isSuspect: true });
      this.#settle(core, file.db);
      this.#core = core;
      this.#previous = undefined;
      const { epoch, isSuspect } = core.state;
      const known = this.#identity as BufferIdentity | undefined;
      if (known !== undefined && isSameEpoch(epoch, known.epoch) && isSuspect === known.isSuspect) return known;
      return identityOf(core, file);
    } catch (error) {
      this.#closeFile();
      if (replace || !isDamageAtOpening(error)) throw error;
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

  #takeOver(core: BufferCore, { db, check, opened, salvaged }: OpenedFile): void {
    const previous = this.#previous;
    if (previous !== undefined && isSameEpoch(previous.state.epoch, core.state.epoch)) {
      if (salvaged === undefined) {
        // A failed commit may be in the log. It is moved to the database and flushed before anybody builds on it.
        db.pragma('wal_checkpoint(TRUNCATE)');
        core.withdraw(previous);
      }
      const tail = lostTail(core.state, undefined, previous.state);
      if (tail !== undefined) core.amend(tail.change, tail.entries);
      core.resume(previous);
      return;
    }
    const tail = salvaged === undefined ? lostTail(core.state, check, undefined) : undefined;
    if (tail !== undefined) core.amend(tail.change, tail.entries);
    if (tail !== undefined) core.markInDoubt([{ first: 1, last: core.state.highestSequence }]);
    this.#quarantinedBefore = core.state.itemsQuarantined;
    if (opened !== 'unclean' && this.#options.checksAlways !== true) return;
    const { nowMs = () => performance.now(), checkMsMax = CHECK_MS_MAX } = this.#options;
    checkEveryRow(core, nowMs, checkMsMax);
  }

  #settle(core: BufferCore, db: Database.Database): void {
    try {
      this.#log = settleLog(this.#options.path, db);
    } catch (error) {
      if (isDamage(error) || isStorageFailure(error)) throw error;
      // Without it a log that is cut off is not seen; no reason not to run.
      this.#log = { logBytes: 0, logSalt: 0 };
    }
    this.#writeMark(core);
  }

  /** Writes the mark anew before the buffer goes beyond it. */
  #reserve(sequences: number, readings: number): void {
    const core = this.#core;
    if (core === undefined) return;
    const { state, catalogueSizes } = core;
    const mark = this.#mark;
    const isCovered =
      mark !== undefined &&
      isSameEpoch(mark.epoch, state.epoch) &&
      Math.max(state.highestSequence, state.reservedSequence) + sequences <= mark.reservedSequence - MARK_SLACK &&
      readingsTaken(state) + readings <= mark.reservedReadings &&
      catalogueSizes.series === mark.series &&
      catalogueSizes.segments === mark.segments;
    if (!isCovered) this.#writeMark(core, {}, true, { sequences, readings });
  }

  #writeMark(
    core: BufferCore,
    change: Partial<HighWaterMark> = {},
    isOpen = true,
    need = { sequences: 0, readings: 0 },
  ): void {
    const { state, catalogueSizes } = core;
    const { epoch, highestSequence, readingsProduced } = state;
    const reserved = isOpen
      ? reservedAbove(
          state,
          { sequences: need.sequences + MARK_SLACK, readings: need.readings },
          this.#markReserve.next(state, this.#nowMs()),
        )
      : { reservedSequence: highestSequence, reservedReadings: readingsProduced };
    const schemaVersion = MIGRATIONS.length;
    const confirmed = { epoch, highestSequence, readingsProduced, ...reserved, ...catalogueSizes };
    const mark = { ...confirmed, schemaVersion, isOpen, ...this.#log, ...change };
    this.#mark = mark;
    try {
      writeMark(this.#options.path, mark);
    } catch {
      // The mark that is there is older, and says less; what refuses here refuses the buffer's own writing too.
    }
  }

  /** The disk takes nothing; after a while items wait in memory. Answers what the caller is told: that this call was not done. */
  #refused(refusal: TributaryError): TributaryError {
    const standby = this.#standby;
    // A disk that was opened again after the error may take the next call.
    if (standby !== undefined && isRefusal(refusal) && standby.refused(this.#nowMs()) && this.#core === undefined) {
      this.#identity = standby.begin(this.#previous, this.#options.newEpoch(), refusal.message);
    }
    return refusal;
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
}

function identityOf(core: BufferCore, { opened, salvaged }: OpenedFile): BufferIdentity {
  const identity = core.identity(opened);
  if (salvaged === undefined) return identity;
  const { items, readings, declared, isComplete } = salvaged;
  return { ...identity, salvaged: { items, readings, gaps: declared.length, isComplete } };
}
