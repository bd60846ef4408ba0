import { failpoint } from '@tributary/core/failpoint/failpoint';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type Database from 'better-sqlite3';
import { ChunkCursor } from '../chunk.js';
import { ChunkField, DeviceField, type PackedCommit, type PackedEntries } from '../packed-commit.js';
import { type CheckedItem, ItemOutcome } from '../store.js';
import { readingsIn } from '../thinned-item.js';
import { ChunkTable } from './chunk-table.js';
import { CopiedRanges } from './copied-ranges.js';
import { CopyFinder } from './copy-finder.js';
import type { CachedDevice, CachedEpoch, DeviceCache } from './device-cache.js';
import { EpochInterner } from './epoch-interner.js';
import { ThinnedTable } from './thinned-table.js';

/** In place of a position: another start of the device has registered. */
export const FENCED = -1;

export interface PackedOutcome {
  /** An {@link ItemOutcome} per item of the commit. */
  outcomes: Uint8Array<ArrayBuffer>;
  /** Per device of the commit: its position, or {@link FENCED}. */
  positions: Float64Array<ArrayBuffer>;
}

/** What one device's part of a commit came to. */
interface Tally {
  items: number;
  readings: number;
  duplicates: number;
}

/** Checksums of a stored chunk, kept because duplicates come in runs. */
interface KnownChunk {
  deviceId: number;
  epochId: number;
  first: number;
  last: number;
  checksums: Float64Array;
}

/** Commits the items of many devices in one transaction. */
export class Committer {
  readonly #cache: DeviceCache;
  readonly #chunks: ChunkTable;
  readonly #epochs: EpochInterner;
  readonly #thinned: ThinnedTable;
  readonly #copies: CopyFinder;
  readonly #copied: CopiedRanges;
  readonly #updateDevice;
  readonly #updateEpoch;
  readonly #selectChunk;
  readonly #declare;
  readonly #run;
  readonly #cursor = new ChunkCursor();
  #known: KnownChunk | undefined;

  constructor(db: Database.Database, cache: DeviceCache) {
    this.#cache = cache;
    this.#chunks = new ChunkTable(db);
    this.#epochs = new EpochInterner(db);
    this.#thinned = new ThinnedTable(db);
    this.#copies = new CopyFinder(db);
    this.#copied = new CopiedRanges(db);
    this.#updateDevice = db.prepare(
      `UPDATE devices SET position = ?, items_stored = items_stored + ?, readings_stored = readings_stored + ?,
         last_seen_us = max(last_seen_us, ?) WHERE device_id = ?`,
    );
    this.#updateEpoch = db.prepare(
      `UPDATE epochs SET highest_sequence = ?, highest_checksum = ?, readings_end = ?, items_stored = items_stored + ?,
         readings_stored = readings_stored + ?, duplicates_dropped = duplicates_dropped + ?, said_produced = ?,
         said_waiting = ?, stored_since_said = ? WHERE device_id = ? AND epoch_id = ?`,
    );
    this.#selectChunk = db.prepare<
      [number, number, number],
      { first_sequence: number; last_sequence: number; body: Buffer }
    >(
      `SELECT first_sequence, last_sequence, body FROM chunks
       WHERE device_id = ? AND epoch_id = ? AND first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1`,
    );
    this.#declare = db.prepare(
      `INSERT INTO ledger (device_id, epoch_id, reason, first, last, readings, bound) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET readings = excluded.readings, bound = excluded.bound
         WHERE excluded.bound < bound AND readings_before IS NULL`,
    );
    this.#run = db.transaction((commit: PackedCommit) => {
      const outcome = this.#commit(commit);
      failpoint('store-before-commit');
      return outcome;
    }).immediate;
  }

  /** On disk when it returns; when it throws, nothing of it is there and the cache has forgotten everything. */
  commit(commit: PackedCommit): PackedOutcome {
    this.#cache.trim();
    this.#known = undefined;
    this.#copies.forget();
    try {
      const outcome = this.#run(commit);
      failpoint('store-after-commit');
      return outcome;
    } catch (error) {
      this.#cache.clear();
      throw error;
    }
  }

  #commit(commit: PackedCommit): PackedOutcome {
    const { devices, entries } = commit;
    const count = devices.length / DeviceField.Width;
    const outcomes = new Uint8Array(commit.items);
    const positions = new Float64Array(count);
    let item = 0;
    let chunk = 0;
    let entry = 0;
    for (let index = 0; index < count; index++) {
      const at = index * DeviceField.Width;
      const deviceId = devices[at + DeviceField.DeviceId];
      const epochId = devices[at + DeviceField.EpochId];
      const device = this.#cache.device(deviceId);
      const epoch = this.#cache.epoch(deviceId, epochId);
      const fenced =
        device === undefined || epoch === undefined || device.fencingToken !== devices[at + DeviceField.FencingToken];
      const firstEntry = entry;
      while (entry < entries.length && entries[entry].device === index) entry++;
      if (fenced) positions[index] = FENCED;
      else {
        const declaring = entries.slice(firstEntry, entry);
        positions[index] = this.#commitDevice(commit, at, chunk, outcomes, item, device, epoch, declaring);
        for (const declared of declaring) {
          const outcome: ItemOutcome = outcomes[item + declared.item];
          if (outcome === ItemOutcome.Fork || outcome === ItemOutcome.Superseded) continue;
          this.#declareLosses(deviceId, declared.entries);
        }
      }
      item += devices[at + DeviceField.Items];
      chunk += devices[at + DeviceField.Chunks];
    }
    return { outcomes, positions };
  }

  #commitDevice(
    commit: PackedCommit,
    at: number,
    firstChunk: number,
    outcomes: Uint8Array,
    firstItem: number,
    device: CachedDevice,
    epoch: CachedEpoch,
    declaring: readonly PackedEntries[],
  ): number {
    const { devices, chunks, bytes } = commit;
    const deviceId = devices[at + DeviceField.DeviceId];
    const epochId = devices[at + DeviceField.EpochId];
    const position = device.position + 1;
    const tally: Tally = { items: 0, readings: 0, duplicates: 0 };
    let item = firstItem;
    const chunksEnd = firstChunk + devices[at + DeviceField.Chunks];
    for (let chunk = firstChunk; chunk < chunksEnd; chunk++) {
      const row = chunk * ChunkField.Width;
      const items = chunks[row + ChunkField.Items];
      const first = chunks[row + ChunkField.FirstSequence];
      const last = first + items - 1;
      const body = bytes.subarray(chunks[row + ChunkField.Start], chunks[row + ChunkField.End]);
      const thinned = declaring.filter(
        (one) => one.thinned !== undefined && isWithin(one.thinned.sequence, first, last),
      );
      const copiedUpTo = copiesUpTo(device, epochId, epoch);
      if (thinned.length > 0 || first <= copiedUpTo || epoch.intervals.overlaps(first, last)) {
        this.#commitPartly(deviceId, epochId, epoch, position, body, outcomes, item, tally, thinned, copiedUpTo);
      } else {
        this.#chunks.insert(deviceId, epochId, position, chunks, row, body);
        this.#cache.addInterval(deviceId, epochId, epoch, first, last);
        tally.items += items;
        tally.readings += chunks[row + ChunkField.Readings];
        noteHighest(epoch, last, chunks[row + ChunkField.LastChecksum], chunks[row + ChunkField.ReadingsEnd]);
      }
      item += items;
    }
    if (tally.items > 0) device.position = position;
    this.#updateDevice.run(device.position, tally.items, tally.readings, commit.nowUs, deviceId);
    noteSaid(
      epoch,
      devices[at + DeviceField.ReadingsProduced],
      devices[at + DeviceField.ReadingsWaiting],
      tally.readings,
    );
    this.#updateEpoch.run(
      epoch.highestSequence,
      epoch.highestChecksum,
      epoch.readingsEnd,
      tally.items,
      tally.readings,
      tally.duplicates,
      epoch.saidProduced,
      epoch.saidWaiting,
      epoch.storedSinceSaid,
      deviceId,
      epochId,
    );
    return device.position;
  }

  /** A chunk of which something is there already, or something stands for other sequences: item by item. */
  #commitPartly(
    deviceId: number,
    epochId: number,
    epoch: CachedEpoch,
    position: number,
    body: Uint8Array,
    outcomes: Uint8Array,
    firstItem: number,
    tally: Tally,
    thinned: readonly PackedEntries[],
    copiedUpTo: number,
  ): void {
    const fresh: CheckedItem[] = [];
    const cursor = this.#cursor;
    if (!cursor.open(body)) throw new Error('a chunk was damaged between the threads');
    for (let index = firstItem; cursor.next(); index++) {
      const { sequence } = cursor;
      if (!epoch.intervals.has(sequence)) {
        if (sequence <= copiedUpTo && this.#copies.isStored(deviceId, epochId, cursor.item())) {
          const { readings, readingsBefore, checksum } = cursor;
          outcomes[index] = ItemOutcome.Duplicate;
          tally.duplicates++;
          this.#cache.addInterval(deviceId, epochId, epoch, sequence, sequence);
          this.#copied.add(deviceId, epochId, sequence, readings);
          noteHighest(epoch, sequence, checksum, readingsBefore + readings);
          continue;
        }
        const replacing = thinned.find((one) => one.thinned?.sequence === sequence);
        if (replacing !== undefined && !this.#replace(deviceId, epochId, replacing)) {
          outcomes[index] = ItemOutcome.Superseded;
          continue;
        }
        const item = cursor.item();
        fresh.push(item);
        this.#cache.addInterval(deviceId, epochId, epoch, sequence, sequence);
        tally.items++;
        tally.readings += readingsIn(item);
        noteHighest(epoch, sequence, item.checksum, item.readingsBefore + item.readings);
        continue;
      }
      const kept = this.#storedChecksum(deviceId, epochId, cursor.sequence);
      const isFork = kept === undefined ? this.#isOtherThanCopied(deviceId, epochId) : kept !== cursor.checksum;
      outcomes[index] = isFork ? ItemOutcome.Fork : ItemOutcome.Duplicate;
      if (isFork) this.#cache.noteCopied(deviceId, epochId, epoch);
      else tally.duplicates++;
    }
    this.#chunks.insertItems(deviceId, epochId, position, fresh);
  }

  /**
   * Takes the sequences that a thinned batch replaces: an original that comes after it is then a duplicate. False, and
   * nothing is taken, when one of them is there already.
   */
  #replace(deviceId: number, itemEpochId: number, { entries, thinned }: PackedEntries): boolean {
    const replaced = entries.map(({ epoch, first, last }) => {
      const epochId = this.#epochs.intern(deviceId, epoch);
      const cached = this.#cache.epoch(deviceId, epochId);
      if (cached === undefined) throw new Error('an epoch vanished within its transaction');
      return { epochId, cached, first, last };
    });
    if (replaced.some(({ cached, first, last }) => cached.intervals.overlaps(first, last))) return false;
    for (const { epochId, cached, first, last } of replaced) {
      this.#cache.addInterval(deviceId, epochId, cached, first, last);
    }
    const { sequence, kept } = thinned as NonNullable<PackedEntries['thinned']>;
    // All of one epoch: ingest takes no other.
    this.#thinned.add(deviceId, replaced[0].epochId, itemEpochId, sequence, kept);
    return true;
  }

  /** Whether the item at the cursor stands where a copy's stood that is stored under another epoch, and is not that one. */
  #isOtherThanCopied(deviceId: number, epochId: number): boolean {
    const cursor = this.#cursor;
    if (!this.#copied.has(deviceId, epochId, cursor.sequence)) return false;
    return !this.#copies.isStored(deviceId, epochId, cursor.item());
  }

  /** The checksum under a sequence; undefined when its bytes have expired, are damaged or lie under another one. */
  #storedChecksum(deviceId: number, epochId: number, sequence: number): number | undefined {
    let known = this.#known;
    const isKnown =
      known !== undefined &&
      known.deviceId === deviceId &&
      known.epochId === epochId &&
      known.first <= sequence &&
      sequence <= known.last;
    if (!isKnown) {
      const row = this.#selectChunk.get(deviceId, epochId, sequence);
      if (row === undefined || row.last_sequence < sequence) return undefined;
      const cursor = new ChunkCursor();
      if (!cursor.open(row.body)) return undefined;
      const checksums = new Float64Array(cursor.items);
      for (let at = 0; cursor.next(); at++) checksums[at] = cursor.checksum;
      known = { deviceId, epochId, first: row.first_sequence, last: row.last_sequence, checksums };
      this.#known = known;
    }
    return known?.checksums[sequence - known.first];
  }

  #declareLosses(deviceId: number, entries: readonly LedgerEntry[]): void {
    for (const entry of entries) {
      const epochId = this.#epochs.intern(deviceId, entry.epoch);
      const bound = entry.bound ? 1 : 0;
      this.#declare.run(deviceId, epochId, entry.reason, entry.first, entry.last, entry.readings, bound);
    }
  }
}

/**
 * Up to which sequence an item of an epoch may be stored under another one. A device that was never copied or restored has
 * one epoch, or moves to the next with little in it and never comes back; so this is 0 for almost everything.
 */
function copiesUpTo(device: CachedDevice, epochId: number, epoch: CachedEpoch): number {
  if (device.newestEpochId < 2) return 0;
  return epochId < device.newestEpochId ? Number.POSITIVE_INFINITY : epoch.movedUpTo;
}

function isWithin(sequence: number, first: number, last: number): boolean {
  return first <= sequence && sequence <= last;
}

function noteHighest(epoch: CachedEpoch, sequence: number, checksum: number, readingsEnd: number): void {
  if (sequence > epoch.highestSequence) {
    epoch.highestSequence = sequence;
    epoch.highestChecksum = checksum;
  }
  epoch.readingsEnd = Math.min(Number.MAX_SAFE_INTEGER, Math.max(epoch.readingsEnd, readingsEnd));
}

/** Commits of one stream repeat what its header said, so what they store is taken off it together. */
export function noteSaid(
  epoch: Pick<CachedEpoch, 'saidProduced' | 'saidWaiting' | 'storedSinceSaid'>,
  produced: number,
  waiting: number,
  stored: number,
): void {
  if (produced !== epoch.saidProduced || waiting !== epoch.saidWaiting) {
    epoch.saidProduced = produced;
    epoch.saidWaiting = waiting;
    epoch.storedSinceSaid = 0;
  }
  epoch.storedSinceSaid += stored;
}
