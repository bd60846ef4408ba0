import type { BufferState } from '@tributary/agent/buffer/item-table';
import { decodeDeclaration } from '@tributary/agent/buffer/loss-entries';
import { decodeThinnedBatch } from '@tributary/agent/buffer/thinned-batch';
import type { CheckedItem } from '@tributary/collector/store/store';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, Lane, type LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { type Fates, FinalCheck } from './final-check.js';
import { DiskLedger, type EpochLedger, keyOf, type Produced, type Production } from './ledger.js';
import { bodyKey } from './sim-producer.js';
import { hex, type StoredItem } from './sim-store.js';
import { Violation } from './violation.js';
import type { TableChange } from './watched-table.js';
import type { World } from './world.js';

/** What was known of a device in the moment in which its process ended without warning. */
export interface CrashScene {
  /** As the disk has it; undefined for a new one. */
  written: BufferState | undefined;
  /** What was produced and is in no batch of the buffer, as far as the device knew. */
  waiting: readonly Production[];
  /** The disk had refused to be written to: then more is in memory than usual. */
  hasRefused: boolean;
  /** The disk has lost what was on it. */
  isTailLost: boolean;
  /** How long something may be in the buffer's memory alone. */
  lossWindowMs: number;
}

/** From when something is due to be written until the disk's thread comes to it. */
const WRITING_MS_MAX = 2000;

/**
 * Holds the system against what it promises: after each step where that is possible, and as a whole at the end. It knows
 * what happened from watching the disks, not from what the system says of itself.
 */
export class Checker {
  /** Readings that were produced, of all devices. */
  readings = 0;
  readonly #disks = new Set<DiskLedger>();
  readonly #destroyed: DiskLedger[] = [];
  /** Devices whose disk was copied at some time. */
  readonly #copiedDevices = new Set<string>();
  /** Devices whose buffer has lost its end, and with it what was announced. */
  readonly #damagedDevices = new Set<string>();
  /** Epochs that stand, or stood, on more than one disk. */
  readonly #copiedEpochs = new Set<string>();
  /** Checksums of what the store has taken. */
  readonly #stored = new Map<string, number>();
  /** Where a body is stored, by device and body: no two of a simulation are equal. */
  readonly #bodies = new Map<string, string>();
  /** Keys that are stored under another one: what copies of a buffer have both moved. */
  readonly #elsewhere = new Map<string, string>();
  /** Keys that a stored thinned item stands for: to a copy of the buffer that still has one it is a duplicate. */
  readonly #replaced = new Set<string>();
  /** What was announced: no live reading that is older comes any more. By epoch and segment, on that one's line. */
  readonly #watermarks = new Map<string, number>();
  /** What was put into a buffer of this device, by key and checksum; undefined for what holds no readings. */
  readonly #put = new Map<string, Produced | undefined>();
  /** What is in a buffer. */
  readonly #appended = new WeakSet<Production>();
  /** In how many places what begins with a number was put: a disk may have it that has said it has not. */
  readonly #places = new Map<number, number>();
  readonly #world: World;
  readonly #isOnlyEndChecked: boolean;

  /** `isOnlyEndChecked`: steps are recorded, and judged at the end alone. */
  constructor(world: World, isOnlyEndChecked = false) {
    this.#world = world;
    this.#isOnlyEndChecked = isOnlyEndChecked;
  }

  /** A device gets a new, empty disk. */
  disk(device: string): DiskLedger {
    const disk = new DiskLedger(device);
    this.#disks.add(disk);
    return disk;
  }

  /** A disk was copied, as an image or to another card. It counts from when it is {@link inserted}. */
  copied(disk: DiskLedger, written: BufferState | undefined): DiskLedger {
    this.#copiedDevices.add(disk.device);
    for (const epoch of disk.epochs.keys()) this.#copiedEpochs.add(epoch);
    const copy = disk.copy();
    if (written !== undefined) {
      const ledger = copy.epoch(hex(written.epoch));
      ledger.cutTo(written.highestSequence);
      // What only the memory of the device had is not with the copy, and was promised to nobody there.
      for (const produced of ledger.above(written.highestSequence)) produced.isTaken = true;
    }
    return copy;
  }

  /** A process has ended without warning: what only its memory had is lost, and that is within what it had promised. */
  crashed(disk: DiskLedger, { written, waiting, hasRefused, isTailLost, lossWindowMs }: CrashScene): void {
    if (isTailLost) this.#damagedDevices.add(disk.device);
    if (written === undefined) return;
    const epoch = hex(written.epoch);
    const ledger = disk.epoch(epoch);
    ledger.cutTo(written.highestSequence);
    const readings = waiting.reduce((sum, each) => (this.#appended.has(each) ? sum : sum + each.readings), 0);
    // What an earlier start was about to declare is still to be declared.
    ledger.readingsWaiting =
      hasRefused || ledger.readingsWaiting === undefined ? undefined : ledger.readingsWaiting + readings;
    const isUnbounded = hasRefused || isTailLost || this.#isOnlyEndChecked;
    for (const produced of ledger.above(written.highestSequence)) {
      const { sequence, checksum, atMs, lost, isTaken } = produced;
      produced.isTaken = true;
      if (isTaken || isUnbounded) continue;
      const waitedMs = this.#world.nowMs - atMs;
      if (lost !== undefined || waitedMs <= lossWindowMs + WRITING_MS_MAX) continue;
      const key = keyOf(disk.device, epoch, sequence);
      if (this.#stored.get(key) === checksum) continue;
      const detail = `${key} was in memory alone for ${Math.round(waitedMs)} ms, and a crash took it`;
      throw new Violation('I2', detail, { device: disk.device, epoch, sequence });
    }
  }

  inserted(disk: DiskLedger): void {
    this.#disks.add(disk);
  }

  /** A disk was overwritten or thrown away, with all that nobody else has. */
  destroyed(disk: DiskLedger): void {
    this.#disks.delete(disk);
    this.#destroyed.push(disk);
  }

  /** Whether a device has a reason to see a fork. */
  isCopied(device: string): boolean {
    return this.#copiedDevices.has(device);
  }

  /** A buffer has committed. Whatever it deleted must be in the store, or declared by the same transaction, or moved. */
  bufferCommitted(disk: DiskLedger, change: TableChange): void {
    const { before, after, put, deleted, appending, withdrawnTo } = change;
    const { device } = disk;
    const epoch = hex(after.epoch);
    const epochBefore = before === undefined ? epoch : hex(before.epoch);
    const isNewEpoch = epochBefore !== epoch;
    // One of which nothing was sent is left without harm: a call that had failed may come again.
    if (isNewEpoch && !this.isCopied(device) && before?.isSuspect === false && disk.epoch(epochBefore).isSent) {
      throw new Violation('I1', `${device} opened a new epoch, and no buffer was ever copied or damaged`, { device });
    }
    const ledger = disk.epoch(epoch);
    if (isNewEpoch) move(disk.epoch(epochBefore), ledger, put);
    if (withdrawnTo !== undefined) for (const each of ledger.withdraw(withdrawnTo)) this.#place(each, -1);
    const highestBefore = isNewEpoch ? 0 : (before?.highestSequence ?? 0);
    let sequence = highestBefore;
    for (const production of appending) {
      ledger.produced(++sequence, production, this.#world.nowMs);
      this.#appended.add(production);
      this.#place(production, 1);
    }
    const isFresh = !isNewEpoch && withdrawnTo === undefined;
    const declared = this.#notePut(disk, epoch, ledger, put, isFresh);
    for (const entry of declared) {
      if (isWindow(entry) && entry.first > highestBefore && hex(entry.epoch) === epoch)
        this.#window(device, ledger, entry);
      this.#noteLoss(disk, entry);
    }
    for (let at = highestBefore + 1; at <= sequence; at++) {
      const { checksum, lost } = ledger.bySequence.get(at)!;
      if (checksum === undefined && lost === undefined) {
        const detail = `${device} gave sequence ${at} to readings, and neither kept nor declared them`;
        throw new Violation('I2', detail, { device, epoch, sequence: at });
      }
    }
    if (this.#isOnlyEndChecked) return;
    const judged = disk.epoch(epochBefore);
    for (const item of deleted) {
      if (withdrawnTo === undefined || item.sequence <= withdrawnTo) {
        this.#deleted(disk, epochBefore, judged, item, declared, withdrawnTo);
      }
    }
    const counted = ledger.readings - ledger.readingsInAir + ledger.overstated;
    if (after.readingsProduced !== counted) {
      const detail = `${device} counts ${after.readingsProduced} readings, and with its bounds ${counted} were produced`;
      throw new Violation('I2', detail, { device, epoch });
    }
  }

  /** A device has sent these. */
  sent(disk: DiskLedger, epoch: Uint8Array, lane: Lane, sequences: readonly number[]): void {
    const ledger = disk.epoch(hex(epoch));
    const { inDoubt, bySequence } = ledger;
    ledger.isSent = true;
    for (const sequence of sequences) {
      inDoubt.add(sequence);
      const produced = bySequence.get(sequence);
      // What comes again may be behind a watermark of the meantime: the collector keeps that out of the live lane.
      if (produced === undefined || produced.isSent) continue;
      produced.isSent = true;
      // A copy does not know what the other one has announced: then the collector keeps it out of the live lane.
      if (lane !== Lane.LIVE || this.isCopied(disk.device) || this.#damagedDevices.has(disk.device)) continue;
      const saidUs = this.#watermarks.get(`${hex(epoch)}/${produced.segment}`);
      if (saidUs === undefined || produced.oldestUs >= saidUs || this.#isOnlyEndChecked) continue;
      const key = keyOf(disk.device, hex(epoch), sequence);
      const detail = `${key} of ${produced.oldestUs} us was sent live, after a watermark of ${saidUs} us`;
      throw new Violation('I6', detail, { device: disk.device, epoch: hex(epoch), sequence });
    }
  }

  /** A device has heard what became of these. */
  settled(disk: DiskLedger, epoch: Uint8Array, ranges: readonly SequenceRange[]): void {
    const { inDoubt } = disk.epoch(hex(epoch));
    for (const sequence of inDoubt) {
      if (ranges.some(({ first, last }) => first <= sequence && sequence <= last)) inDoubt.delete(sequence);
    }
  }

  /** The store has taken an item as new. */
  storeCommitted(device: string, epoch: string, item: CheckedItem): void {
    const key = keyOf(device, epoch, item.sequence);
    const wasStored = this.#stored.has(key);
    this.#stored.set(key, item.checksum);
    if (item.kind !== ItemKind.DECLARATION) this.#bodies.set(`${device}/${bodyKey(item.body)}`, key);
    if (item.kind === ItemKind.THINNED_BATCH) {
      for (const { epoch: of, first, last } of decodeThinnedBatch(item.body).replaced) {
        for (let sequence = first; sequence <= last; sequence++) this.#replaced.add(keyOf(device, hex(of), sequence));
      }
    }
    if (this.#isOnlyEndChecked) return;
    const where = { device, epoch, sequence: item.sequence };
    if (wasStored) throw new Violation('I1', `${key} was stored twice`, where);
    if (!this.#put.has(`${key}/${item.checksum}`)) {
      throw new Violation('I6', `${key} was stored with bytes that the device never had`, where);
    }
  }

  /** The store has called an item a duplicate. Under another key it is one only if the very same readings are there. */
  storeDropped(device: string, epoch: string, item: CheckedItem): void {
    const key = keyOf(device, epoch, item.sequence);
    const other = this.#bodies.get(`${device}/${bodyKey(item.body)}`);
    if (this.#stored.has(key) || other === undefined) return;
    this.#stored.set(key, item.checksum);
    this.#elsewhere.set(key, other);
  }

  /** A collector passes on that no live reading older than this comes any more. */
  announced(epoch: string, segment: number, us: number): void {
    const key = `${epoch}/${segment}`;
    this.#watermarks.set(key, Math.max(us, this.#watermarks.get(key) ?? 0));
  }

  /** The collector says that these are durable. */
  acknowledged(device: string, epoch: Uint8Array, durable: readonly SequenceRange[]): void {
    if (this.#isOnlyEndChecked) return;
    for (const { first, last } of durable) {
      for (let sequence = first; sequence <= last; sequence++) {
        const key = keyOf(device, hex(epoch), sequence);
        if (this.#stored.has(key) || this.#replaced.has(key)) continue;
        const where = { device, epoch: hex(epoch), sequence };
        throw new Violation('I1', `${key} was acknowledged, and is not stored`, where);
      }
    }
  }

  /** Everything was healed and has drained: what is stored and declared must be what was produced, to the reading. */
  finish(stored: readonly StoredItem[], audits: readonly EpochAudit[]): Fates {
    return new FinalCheck(
      {
        readings: this.readings,
        disks: this.#disks,
        destroyed: this.#destroyed,
        copiedEpochs: this.#copiedEpochs,
        stored: this.#stored,
        elsewhere: this.#elsewhere,
        replaced: this.#replaced,
        put: this.#put,
      },
      stored,
      audits,
    ).fates();
  }

  #place({ firstNumber, readings }: Production, by: 1 | -1): void {
    const before = this.#places.get(firstNumber) ?? 0;
    this.#places.set(firstNumber, before + by);
    if (Math.max(before, before + by) === 1) this.readings += by * readings;
  }

  /** Notes what a transaction put there; answers what it declares. */
  #notePut(
    disk: DiskLedger,
    epoch: string,
    ledger: EpochLedger,
    put: readonly Item[],
    isFresh: boolean,
  ): LedgerEntry[] {
    const { device } = disk;
    const declared: LedgerEntry[] = [];
    for (const item of put) {
      const { sequence, checksum } = item;
      const produced = ledger.bySequence.get(sequence);
      if (item.kind === ItemKind.DECLARATION) {
        const entries = decodeDeclaration(item.body);
        ledger.declarations.set(sequence, { checksum, entries });
        declared.push(...entries);
        this.#put.set(`${keyOf(device, epoch, sequence)}/${checksum}`, undefined);
      } else if (item.kind === ItemKind.THINNED_BATCH) {
        const content = decodeThinnedBatch(item.body);
        ledger.thinned.set(sequence, { checksum, content });
        declared.push(...content.replaced);
        this.#put.set(`${keyOf(device, epoch, sequence)}/${checksum}`, undefined);
        if (isFresh && !this.#isOnlyEndChecked) checkDoubt(device, epoch, ledger, content.replaced);
      } else if (produced === undefined || produced.readings !== item.readings) {
        const detail = `${device} put an unknown item ${sequence} of ${item.readings} readings`;
        throw new Violation('I6', detail, { device, epoch, sequence });
      } else {
        produced.checksum = checksum;
        produced.body = item.body;
        this.#put.set(`${keyOf(device, epoch, sequence)}/${checksum}`, produced);
      }
    }
    return declared;
  }

  /** A declaration was put into the buffer. */
  #noteLoss(disk: DiskLedger, entry: LedgerEntry): void {
    const { epoch, first, last, reason, bound } = entry;
    const ledger = disk.epoch(hex(epoch));
    if (bound && !isWindow(entry)) ledger.isBounded = true;
    for (let sequence = first; sequence <= last; sequence++) {
      const produced = ledger.bySequence.get(sequence);
      if (produced !== undefined && !produced.isMoved) produced.lost ??= reason;
    }
  }

  /** What a crash took must not be more than the device says that it can have been. */
  #window(device: string, ledger: EpochLedger, entry: LedgerEntry): void {
    const taken = ledger.window(entry);
    if (taken <= entry.readings || this.#isOnlyEndChecked) return;
    const detail = `${device} says that a crash took ${entry.readings} readings at the most, and it took ${taken}`;
    throw new Violation('I2', detail, { device, epoch: hex(entry.epoch), sequence: entry.first });
  }

  #deleted(
    disk: DiskLedger,
    epoch: string,
    ledger: EpochLedger,
    item: Item,
    declared: readonly LedgerEntry[],
    withdrawnTo: number | undefined,
  ): void {
    const { device } = disk;
    const key = keyOf(device, epoch, item.sequence);
    if (this.#stored.get(key) === item.checksum || this.#replaced.has(key)) return;
    const where = { device, epoch, sequence: item.sequence };
    const isDeclared = (of: string, sequence: number) =>
      declared.some((entry) => entry.first <= sequence && sequence <= entry.last && hex(entry.epoch) === of);
    if (item.kind === ItemKind.BATCH) {
      if (ledger.bySequence.get(item.sequence)?.isMoved || isDeclared(epoch, item.sequence)) return;
      const other = this.#stored.has(key) ? 'other bytes are stored under it' : 'it is neither stored nor declared';
      throw new Violation('I1', `${key} was deleted on the device, and ${other}`, where);
    }
    const entries =
      item.kind === ItemKind.THINNED_BATCH
        ? ledger.thinned.get(item.sequence)?.content.replaced
        : ledger.declarations.get(item.sequence)?.entries;
    const { sequence: own, kind, readings, readingsBefore, body } = item;
    const checksum = itemChecksum(Buffer.from(epoch, 'hex'), own, kind, readings, readingsBefore, body);
    for (const entry of entries ?? []) {
      // What is in its own epoch is declared anew as a bound. Of another one nobody knows that there was anything to declare;
      // that these have moved here is nothing that is lost.
      if (checksum !== item.checksum && hex(entry.epoch) !== epoch) {
        if (entry.readings > 0) disk.epoch(hex(entry.epoch)).unsay(entry);
        continue;
      }
      for (let sequence = entry.first; sequence <= entry.last; sequence++) {
        if (withdrawnTo !== undefined && sequence > withdrawnTo) continue;
        if (isDeclared(hex(entry.epoch), sequence)) continue;
        const detail = `${key} declared ${sequence}; it was deleted, and nothing declares that any more`;
        throw new Violation('I2', detail, where);
      }
    }
  }
}

/** A bound of what a crash can have taken. */
function isWindow({ bound, reason }: LedgerEntry): boolean {
  return bound && reason === LossReason.CRASH_WINDOW;
}

/** What the collector may have must not come again in another form. */
function checkDoubt(device: string, epoch: string, ledger: EpochLedger, replaced: readonly LedgerEntry[]): void {
  for (const entry of replaced) {
    if (hex(entry.epoch) !== epoch) continue;
    for (const sequence of ledger.inDoubt) {
      if (sequence < entry.first || sequence > entry.last) continue;
      const detail = `${keyOf(device, epoch, sequence)} was thinned while it was in doubt`;
      throw new Violation('I1', detail, { device, epoch, sequence });
    }
  }
}

/** Readings that waited go to a new epoch, bodies unchanged. */
function move(from: EpochLedger, to: EpochLedger, put: readonly Item[]): void {
  from.isLeft = true;
  const byBody = new Map<string, Produced>();
  for (const produced of from.bySequence.values()) {
    if (produced.body !== undefined && produced.lost === undefined) byBody.set(bodyKey(produced.body), produced);
  }
  for (const { kind, sequence, body } of put) {
    if (kind === ItemKind.DECLARATION) continue;
    const moved = byBody.get(bodyKey(body));
    if (moved === undefined) continue;
    moved.isMoved = true;
    to.produced(sequence, moved, moved.atMs);
  }
}
