import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { ItemKind, LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { damagedReadings, gapsBelow } from './damage.js';
import { type BufferedItem, type BufferState, freshState, type ItemTable } from './item-table.js';
import {
  CORRUPT,
  DECLARATION,
  DECLARATION_ENTRIES_MAX,
  decodeDeclaration,
  encodeDeclaration,
  mergeWhenMany,
} from './loss-entries.js';
import { rowBytes } from './row-size.js';
import { THINNED_BATCH } from './thinned-batch.js';

/** A person looks at a few; at 1 MiB an item at most this also bounds the disk. */
const QUARANTINE_ITEMS_MAX = 64;
/** Rows that are held in memory at once while many are walked. */
export const WALK_ROWS = 256;
const WALK_BYTES = 1 << 20;

/** The rows of the table and the counters that go with them, changed together or not at all. */
export class CountedRows {
  readonly table: ItemTable;
  state: BufferState;
  readonly isNew: boolean;

  constructor(table: ItemTable, newEpoch: Uint8Array) {
    this.table = table;
    const state = table.state();
    this.isNew = state === undefined;
    this.state = state ?? freshState(newEpoch);
  }

  /** Runs `act` and commits. When anything throws, the counters are as they were. */
  transact<T>(act: () => T): T {
    const before = this.state;
    this.state = { ...before };
    try {
      this.table.begin();
      const result = act();
      this.table.putState(this.state);
      this.table.commit();
      return result;
    } catch (error) {
      this.state = before;
      this.table.rollback();
      throw error;
    }
  }

  put(sequence: number, kind: ItemKind, readings: number, body: Uint8Array, isProtected = false): void {
    const { epoch, readingsProduced: readingsBefore } = this.state;
    const checksum = itemChecksum(epoch, sequence, kind, readings, readingsBefore, body);
    this.table.put({ sequence, kind, checksum, readings, readingsBefore, body, isProtected });
    this.state.itemsStored++;
    this.state.readingsStored += readings;
    this.state.bytesStored += rowBytes(body.length);
  }

  /** Declarations are stored whatever the quota says: they are small, and without them the rest is unaccounted for. */
  appendDeclaration(entries: readonly LedgerEntry[]): void {
    const merged = mergeWhenMany(entries);
    for (let from = 0; from < merged.length; from += DECLARATION_ENTRIES_MAX) {
      const body = encodeDeclaration(merged.slice(from, from + DECLARATION_ENTRIES_MAX));
      this.put(++this.state.highestSequence, DECLARATION, 0, body);
    }
  }

  /** The checksum covers the kind in 8 bits and the readings in 32: a row whose numbers do not fit is damaged, too. */
  isIntact(item: Item): boolean {
    const { sequence, kind, readings, readingsBefore, body } = item;
    if (!isWithin(kind, 0xff) || !isWithin(readings, 0xffff_ffff)) return false;
    if (!isWithin(readingsBefore, Number.MAX_SAFE_INTEGER)) return false;
    return itemChecksum(this.state.epoch, sequence, kind, readings, readingsBefore, body) === item.checksum;
  }

  deleteRows(ranges: readonly SequenceRange[]): void {
    for (const { first, last } of ranges) {
      this.walkHeaders(first, last, (header) => {
        this.state.itemsStored--;
        this.state.readingsStored -= header.readings;
        this.state.bytesStored -= rowBytes(header.bodyBytes);
      });
      this.table.deleteRange(first, last);
    }
  }

  setAside(item: Item, reason: string, detail: string): void {
    this.table.putQuarantined(item, { epoch: this.state.epoch, reason, detail }, QUARANTINE_ITEMS_MAX);
    this.table.deleteRange(item.sequence, item.sequence);
    this.state.itemsQuarantined++;
    this.state.itemsStored--;
    this.state.readingsStored -= item.readings;
    this.state.bytesStored -= rowBytes(item.body.length);
  }

  /**
   * Sets items aside whose bytes are not what was written, and answers what is lost with them. A declaration takes along
   * what it declared, and a thinned item what it kept.
   */
  removeDamaged(items: readonly Item[]): LedgerEntry[] {
    if (items.length === 0) return [];
    for (const item of items) this.setAside(item, 'damaged', 'the checksum is not that of the bytes');
    this.recount();
    const entries: LedgerEntry[] = [];
    for (const run of consecutive(items)) {
      const first = run[0].sequence;
      const last = run.at(-1)!.sequence;
      if (run.some(({ kind }) => kind === DECLARATION || kind === THINNED_BATCH))
        entries.push(...gapsBelow(this.table, this.state, last + 1));
      else {
        const lost = damagedReadings(this.table, this.state, run, (item) => this.isIntact(item));
        entries.push({ epoch: this.state.epoch, first, last, ...lost, reason: CORRUPT });
        entries.push(...this.#besides(first, last));
      }
    }
    return entries;
  }

  /** The damage may be in the row's id: it may have been any that is not here, between the neighbours. */
  #besides(first: number, last: number): LedgerEntry[] {
    const { epoch, highestSequence } = this.state;
    const before = this.table.headerBefore(first)?.sequence ?? 0;
    const after = this.table.headers(last + 1, Number.MAX_SAFE_INTEGER, 1)[0]?.sequence ?? highestSequence + 1;
    const sides = [
      { first: before + 1, last: first - 1 },
      { first: last + 1, last: after - 1 },
    ];
    return sides
      .filter((side) => side.first <= side.last)
      .map((side) => ({ epoch, ...side, readings: 0, bound: true, reason: CORRUPT }));
  }

  /** At the start: rows that the counters know and the table does not have were lost, and are declared with a bound. */
  settleCounts(): void {
    const { items, readings } = this.table.totals();
    if (items === this.state.itemsStored && readings === this.state.readingsStored) return;
    this.transact(() => {
      this.recount();
      this.appendDeclaration(gapsBelow(this.table, this.state, this.state.highestSequence + 1));
    });
  }

  /**
   * Takes back what came after `before`: a transaction that its caller was told had failed, and which is there after all,
   * as a commit whose fsync failed can be. Nothing of it was ever sent, so its sequences are free again; what it evicted
   * stays declared, and what it thinned stays thinned, under another sequence. Alerts above `newestAlert`, the id of the newest
   * that was there before, are forgotten, with what was to be done about them: nobody has begun it.
   */
  withdraw(before: Readonly<BufferState>, newestAlert: number): void {
    const { epoch, highestSequence, alertCursor, readingsProduced } = before;
    if (Buffer.compare(epoch, this.state.epoch) !== 0) return;
    const hasAlerts = this.table.alerts.newest() > newestAlert;
    if (this.state.highestSequence <= highestSequence && this.state.alertCursor <= alertCursor && !hasAlerts) return;
    this.transact(() => {
      const entries: LedgerEntry[] = [];
      const thinned: BufferedItem[] = [];
      this.walkItems(highestSequence + 1, (item) => {
        if (item.kind === THINNED_BATCH) thinned.push(item);
        if (item.kind === DECLARATION) entries.push(...decodeDeclaration(item.body));
      });
      this.table.deleteRange(highestSequence + 1, this.state.highestSequence);
      if (hasAlerts) this.table.alerts.deleteAfter(newestAlert);
      this.state = { ...this.state, highestSequence, readingsProduced, alertCursor };
      this.recount();
      for (const { body } of thinned) this.put(++this.state.highestSequence, THINNED_BATCH, 0, body);
      const isOfBefore = (entry: LedgerEntry): boolean =>
        entry.first <= highestSequence || Buffer.compare(entry.epoch, epoch) !== 0;
      this.appendDeclaration(entries.filter(isOfBefore));
    });
  }

  /** Visits every item from a sequence on; the visitor may change the rows at and before it. */
  walkItems(from: number, visit: (item: BufferedItem) => void): void {
    for (let next = from; ; ) {
      const items = this.table.items(next, WALK_ROWS, WALK_BYTES);
      if (items.length === 0) return;
      for (const item of items) visit(item);
      next = items.at(-1)!.sequence + 1;
    }
  }

  walkHeaders(first: number, last: number, visit: (header: { readings: number; bodyBytes: number }) => void): void {
    for (let from = first; from <= last; ) {
      const headers = this.table.headers(from, last, WALK_ROWS);
      for (const header of headers) visit(header);
      if (headers.length < WALK_ROWS) return;
      from = headers.at(-1)!.sequence + 1;
    }
  }

  /** After damage the counters cannot be carried on by differences. */
  recount(): void {
    const counts = { itemsStored: 0, readingsStored: 0, bytesStored: 0 };
    this.walkHeaders(1, Number.MAX_SAFE_INTEGER, (header) => {
      counts.itemsStored++;
      counts.readingsStored += header.readings;
      counts.bytesStored += rowBytes(header.bodyBytes);
    });
    Object.assign(this.state, counts);
  }
}

/** Whether a row's number is one that an item can have. */
export function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

/** Items in order as runs of consecutive sequences. */
function consecutive(items: readonly Item[]): Item[][] {
  const runs: Item[][] = [];
  for (const item of items) {
    const run = runs.at(-1);
    if (run?.at(-1)?.sequence === item.sequence - 1) run.push(item);
    else runs.push([item]);
  }
  return runs;
}
