import { TributaryError } from '@tributary/core/errors/tributary-error';
import { normalRanges, rangesWithout } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { LedgerEntry, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { AcknowledgedRows } from './acknowledged-rows.js';
import { settleIntents, storeAlerts } from './alert-ledger.js';
import {
  type AlertMemory,
  type AlertsStored,
  type IntentOutcome,
  type NewIntent,
  Standing,
  type StoredStatus,
} from './alert-table.js';
import type {
  AppendNotes,
  AppendOutcome,
  BufferCounts,
  BufferIdentity,
  EncodedBatch,
  Loss,
  RuleNote,
  Undeclared,
} from './buffer.js';
import { Catalogue, isCrowded } from './catalogue.js';
import { CountedRows, WALK_ROWS } from './counted-rows.js';
import { boundedRanges } from './doubt-ranges.js';
import { planEviction } from './eviction.js';
import type { BufferState, ItemTable } from './item-table.js';
import {
  BATCH,
  DECLARATION,
  declarationBytesMax,
  decodeDeclaration,
  EVICTED,
  LossList,
  REJECTED,
} from './loss-entries.js';
import { moveToEpoch } from './move-to-epoch.js';
import { rowBytes } from './row-size.js';
import { beginRun } from './run-mark.js';
import { decodeThinnedBatch, lossesOfThinned, THINNED_BATCH } from './thinned-batch.js';
import { Thinner } from './thinner.js';

const CHECKSUM_REJECTED: RejectionReason.CHECKSUM = 1;

/** Bodies that are held at once while rows are checked. */
const CHECKED_BYTES = 1 << 20;

/**
 * The buffer's policy: sequences, counts, eviction, declarations, quarantine, epochs. It touches no file and no clock, and
 * runs the same over SQLite and over the simulation's memory. Each method is one transaction; when the table throws, the
 * state here is as before, and the caller opens the table anew.
 */
export class BufferCore {
  readonly #rows: CountedRows;
  readonly #quotaBytes: number;
  #catalogue: Catalogue;
  #acknowledged = AcknowledgedRows.NONE;
  /** Given out to be sent, in the session that runs: the uplink may hold them, whatever it has told so far. */
  #handedOut: SequenceRange[] = [];
  readonly #thinner: Thinner | undefined;
  /** Below it there is nothing that could be evicted first. */
  #ordinaryFrom = 1;
  #newestAlert: number;

  /**
   * Opens a table. `newEpoch` (16 random bytes) is used if the table is new; `quotaBytes` counts rows by `rowBytes`.
   * `thinningWindowMs`: of a full buffer's oldest batches, this much time is thinned to a few readings a series; 0 drops
   * them at once. Throws what the table throws.
   */
  constructor(table: ItemTable, quotaBytes: number, newEpoch: Uint8Array, thinningWindowMs = 0) {
    this.#quotaBytes = quotaBytes;
    this.#thinner = thinningWindowMs > 0 ? new Thinner(thinningWindowMs) : undefined;
    this.#rows = new CountedRows(table, newEpoch);
    this.#catalogue = new Catalogue(table);
    this.#newestAlert = table.alerts.newest();
    if (this.#rows.isNew) this.#rows.transact(() => {});
    else {
      this.#doubtAfterCrash();
      this.#rows.settleCounts();
    }
  }

  get state(): Readonly<BufferState> {
    return this.#rows.state;
  }

  get catalogueSizes(): { series: number; segments: number } {
    return this.#catalogue.sizes;
  }

  get inDoubt(): readonly SequenceRange[] {
    return this.state.inDoubt;
  }

  /** What the collector may have, or may yet be sent, for all the buffer knows. */
  get doubted(): SequenceRange[] {
    return normalRanges([...this.state.inDoubt, ...this.#handedOut]);
  }

  identity(opened: BufferIdentity['opened']): BufferIdentity {
    const { epoch, highestSequence, readingsProduced, alertCursor, isSuspect, segment, lineUs: us } = this.state;
    const { series, segments, anchors } = this.#catalogue;
    const line = segment === 0 ? {} : { line: { segment, us } };
    return {
      epoch,
      highestSequence,
      readingsProduced,
      series,
      segments,
      anchors,
      ...line,
      isSuspect,
      alertCursor,
      opened,
    };
  }

  status(): BufferCounts {
    const { counts } = this.#acknowledged;
    const { epoch, highestSequence, readingsProduced, readingsEvicted, readingsThinned, itemsQuarantined } = this.state;
    return {
      epoch,
      highestSequence,
      oldestSequence: this.#acknowledged.oldestWaiting(this.#rows),
      itemsWaiting: this.state.itemsStored - counts.items,
      readingsWaiting: this.state.readingsStored - counts.readings,
      bytesWaiting: this.state.bytesStored - counts.bytes,
      quotaBytes: this.#quotaBytes,
      readingsProduced,
      readingsEvicted,
      readingsThinned,
      itemsQuarantined,
    };
  }

  /**
   * `limitBytes`: what rows may take afterwards when the disk has less than the quota. Batches for which no room can be
   * made are dropped and declared if that is because of the quota; when it is the disk, which may recover, nothing is
   * done and a `TributaryError` `disk-full` thrown.
   */
  append(batches: readonly EncodedBatch[], limitBytes = this.#quotaBytes, notes: AppendNotes = {}): AppendOutcome {
    return this.#transact((rows) => {
      const { state } = rows;
      const limit = Math.min(this.#quotaBytes, limitBytes);
      const kept = newestWithin(batches, limit - rowBytes(declarationBytesMax(1)));
      const appended = batches.reduce((sum, batch, at) => (kept[at] ? sum + rowBytes(batch.body.length) : sum), 0);
      const bytesOver = state.bytesStored + appended - limit;
      const doubted = bytesOver > 0 ? this.doubted : [];
      const thinned = this.#thinner?.makeRoom(rows, doubted, bytesOver, limit) ?? [];
      this.#thinner?.appended(appended);
      const needBytes = thinned.reduce((sum, { body }) => sum + rowBytes(body.length), appended);
      const ordinaryFrom = this.#ordinaryFrom;
      const room = { needBytes, limitBytes: limit, doubted, ordinaryFrom };
      const plan = planEviction(rows.table, state, (item) => rows.isIntact(item), room);
      this.#ordinaryFrom = plan.ordinaryFrom;
      const damaged = rows.removeDamaged(plan.damaged);
      rows.deleteRows(plan.victims);

      let over = plan.bytesOver;
      const sequences: number[] = [];
      const dropped = new LossList(state.epoch, EVICTED);
      let evictedReadings = plan.readings;
      for (const [at, batch] of batches.entries()) {
        const sequence = ++state.highestSequence;
        sequences.push(sequence);
        if (kept[at] && over <= 0) {
          rows.put(sequence, batch.kind ?? BATCH, batch.readings, batch.body, batch.isProtected);
        } else {
          if (kept[at]) over -= rowBytes(batch.body.length);
          dropped.add(sequence, batch.readings);
          evictedReadings += batch.readings;
        }
        state.readingsProduced += batch.readings;
      }
      state.readingsEvicted += evictedReadings;
      const { crashBound = state.crashBound, line, ruleNotes = [] } = notes;
      for (const note of ruleNotes) rows.table.putRuleNote(note);
      Object.assign(state, { crashBound }, line === undefined ? {} : { segment: line.segment, lineUs: line.us });
      const stored = dropped.entries.length === 0;
      if (!stored && limit < this.#quotaBytes) throw new TributaryError('disk-full', 'no space is left for the buffer');
      for (const { body, readingsLeftOut } of thinned) {
        rows.put(++state.highestSequence, THINNED_BATCH, 0, body);
        state.readingsThinned += readingsLeftOut;
      }
      rows.appendDeclaration([...plan.entries, ...damaged, ...dropped.entries]);
      return { sequences, stored, evicted: plan.victims, evictedReadings };
    });
  }

  /** The first transaction of a process, see `beginRun`. */
  beginRun(crashBound: number): void {
    this.#transact((rows) => beginRun(rows, crashBound));
  }

  /** The last transaction of a process that ends in order: nothing is in memory that is not in the table. */
  endRun(): void {
    this.#transact((rows) => {
      rows.state.isClosed = true;
    });
  }

  lose(losses: readonly Loss[]): void {
    if (losses.length === 0) return;
    this.#transact((rows) => {
      const { state } = rows;
      const entries = losses.map(({ readings, bound, reason }): LedgerEntry => {
        const sequence = ++state.highestSequence;
        state.readingsProduced += readings;
        return { epoch: state.epoch, first: sequence, last: sequence, readings, bound: bound ?? false, reason };
      });
      rows.appendDeclaration(entries);
    });
  }

  /**
   * As `Buffer.read`, without the counts. Damage is declared behind everything that was there, so it is read once more up to
   * that: whoever is answered nothing goes on behind what the counts of this moment say. Not more often, for a disk may
   * damage whatever it is given.
   */
  read(fromSequence: number, maxBytes: number, maxItems: number): Item[] {
    let { found, damaged } = this.#readable(fromSequence, maxBytes, maxItems);
    if (damaged.length > 0) {
      this.#transact((rows) => rows.appendDeclaration(rows.removeDamaged(damaged)));
      if (found.length === 0) ({ found } = this.#readable(fromSequence, maxBytes, maxItems));
    }
    if (found.length > 0) this.#handOut(found[0].sequence, found.at(-1)!.sequence);
    return found;
  }

  #readable(fromSequence: number, maxBytes: number, maxItems: number): { found: Item[]; damaged: Item[] } {
    const found: Item[] = [];
    const damaged: Item[] = [];
    let bytes = 0;
    let full = false;
    for (let at = fromSequence; !full && found.length < maxItems; ) {
      at = this.#acknowledged.after(at);
      const limit = Math.min(maxItems - found.length, WALK_ROWS);
      const items = this.#rows.table.items(at, limit, Math.max(1, maxBytes - bytes));
      if (items.length === 0) break;
      for (const item of items) {
        at = item.sequence;
        // An acknowledged stretch begins: go on behind it.
        if (this.#acknowledged.after(at) !== at) break;
        full = found.length > 0 && bytes + item.body.length > maxBytes;
        if (full) break;
        at++;
        if (this.#rows.isIntact(item)) {
          found.push(item);
          bytes += item.body.length;
        } else damaged.push(item);
      }
    }
    return { found, damaged };
  }

  /**
   * Looks at some rows from a sequence on and sets aside those that fail, as {@link read} does, for nobody to send. Answers
   * where to go on, undefined at the end.
   */
  check(fromSequence: number): number | undefined {
    const items = this.#rows.table.items(fromSequence, WALK_ROWS, CHECKED_BYTES);
    const damaged = items.filter((item) => !this.#rows.isIntact(item));
    if (damaged.length > 0) this.#transact((rows) => rows.appendDeclaration(rows.removeDamaged(damaged)));
    return items.length === 0 ? undefined : items.at(-1)!.sequence + 1;
  }

  /** Nothing is written: the rows go with the next transaction, or with {@link deleteAcknowledged}. */
  acknowledge(ranges: readonly SequenceRange[]): void {
    const { highestSequence } = this.state;
    const within = normalRanges(ranges.map(({ first, last }) => ({ first, last: Math.min(last, highestSequence) })));
    const before = this.#acknowledged;
    // Before anything is read: when the disk refuses that, what takes over from here must know of it, for a row that the
    // collector has would be moved to a new epoch and be stored there again.
    this.#acknowledged = before.with(within);
    this.#acknowledged = this.#acknowledged.counted(this.#rows, before);
  }

  /** Deletes acknowledged rows now, so that they do not stay while nothing is appended. */
  deleteAcknowledged(): void {
    if (this.#acknowledged.counts.items > 0) this.#transact(() => {});
  }

  /** Nothing is written: it is on disk with the next transaction, and until then the disk knows of more doubt. */
  markInDoubt(ranges: readonly SequenceRange[]): void {
    this.#rows.state = { ...this.state, inDoubt: boundedRanges(ranges) };
    if (!this.state.isSending) this.#doubtChanged();
  }

  /**
   * The session is over, and nobody holds what was read any more; of what was sent, these have no answer. What was in doubt
   * before a session that read nothing still is: it was not settled. Nothing is written, as in {@link markInDoubt}.
   */
  stopSending(ranges: readonly SequenceRange[]): void {
    const { isSending, inDoubt } = this.state;
    this.#handedOut = [];
    const doubted = boundedRanges(isSending ? ranges : [...inDoubt, ...ranges]);
    this.#rows.state = { ...this.state, isSending: false, inDoubt: doubted };
    this.#doubtChanged();
  }

  /** Goes on where another core was that had the same file, and lost it to an error: what only its memory knew. */
  resume(previous: BufferCore): void {
    this.takeCatalogue(previous);
    this.acknowledge(previous.#acknowledged.ranges);
    this.#handedOut = previous.#handedOut;
    const { isSending, inDoubt } = previous.state;
    // The disk must say it again: what was committed since the opening took it as the past.
    if (isSending) this.#transact(({ state }) => Object.assign(state, { isSending, inDoubt }));
    else this.#rows.state = { ...this.state, isSending, inDoubt };
  }

  quarantine(sequence: number, reason: RejectionReason, detail: string): void {
    const [item] = this.#rows.table.items(sequence, 1, 1);
    if (item?.sequence !== sequence || this.#acknowledged.after(sequence) !== sequence) return;
    this.#transact((rows) => {
      if (!rows.isIntact(item)) return rows.appendDeclaration(rows.removeDamaged([item]));
      rows.setAside(item, `rejected-${reason}`, detail);
      const { epoch } = rows.state;
      const { readings } = item;
      const entries: LedgerEntry[] = [
        { epoch, first: sequence, last: sequence, readings, bound: false, reason: REJECTED },
      ];
      // What it declares is true whatever became of its bytes on the way. Any other reason would come again.
      if (item.kind === THINNED_BATCH) entries.push(...lossesOfThinned(decodeThinnedBatch(item.body), REJECTED));
      if (item.kind === DECLARATION && reason === CHECKSUM_REJECTED) entries.push(...decodeDeclaration(item.body));
      rows.appendDeclaration(entries);
    });
  }

  declare(entries: readonly LedgerEntry[]): void {
    if (entries.length > 0) this.#transact((rows) => rows.appendDeclaration(entries));
  }

  /** Sets counters that the file's opening and closing decide, and declares what it found, in one transaction. */
  amend(change: Partial<BufferState>, entries: readonly LedgerEntry[] = []): void {
    this.#transact((rows) => {
      rows.state = { ...rows.state, ...change };
      rows.appendDeclaration(entries);
    });
  }

  addSeries(series: readonly Omit<SeriesDeclaration, 'id'>[]): SeriesDeclaration[] {
    return this.#catalogue.addSeries(series, (write) => this.#transact(write));
  }

  addSegment(segment: Undeclared<SegmentDeclaration>): SegmentDeclaration {
    return this.#catalogue.addSegment(segment, (write) => this.#transact(write));
  }

  addAnchor(anchor: Undeclared<ClockAnchor>): ClockAnchor {
    return this.#catalogue.addAnchor(anchor, (write) => this.#transact(write));
  }

  /** Moves what waits to a new epoch, see `moveToEpoch`: what was acknowledged is gone by then, and refers to nothing. */
  openEpoch(epoch: Uint8Array): void {
    const unneeded = this.#transact((rows) => moveToEpoch(rows, this.#catalogue, epoch));
    if (unneeded !== undefined) this.#catalogue.dropped(unneeded);
    // All of it has new sequences, and none of those was sent.
    this.#handedOut = [];
    this.#thinner?.restart();
    this.#ordinaryFrom = 1;
  }

  /**
   * Declares what another core has, and nothing else: whoever declares knows the ids that were answered. A declaration whose
   * commit was reported as failed and is there after all would take an id that nobody knows of, and shift those behind it;
   * one that damage took would be given anew.
   */
  takeCatalogue(of: BufferCore): void {
    const known = of.#catalogue;
    if (this.#catalogue.equals(known)) return;
    this.#transact(({ table }) => known.replaceThatOf(table));
    this.#catalogue = new Catalogue(this.#rows.table);
  }

  /** Whether the epoch has nearly all the segments or anchors that it may have, and is to be left. */
  get isCrowded(): boolean {
    return isCrowded(this.#catalogue);
  }

  ruleNotes(): RuleNote[] {
    return this.#rows.table.ruleNotes();
  }

  storeAlerts(alerts: readonly Alert[], intents: readonly NewIntent[] = []): AlertsStored {
    if (alerts.length === 0) return { fresh: [], intents: [] };
    const stored = this.#transact((rows) => storeAlerts(rows, alerts, intents));
    this.#newestAlert = this.#rows.table.alerts.newest();
    return stored;
  }

  settleIntents(outcomes: readonly IntentOutcome[], statuses: readonly StoredStatus[]): void {
    if (outcomes.length + statuses.length > 0) this.#transact((rows) => settleIntents(rows, outcomes, statuses));
  }

  recallAlerts(): AlertMemory {
    const { alerts } = this.#rows.table;
    const damaged = alerts.damaged();
    const intents = alerts.waiting();
    const kept = intents.filter(({ standing }) => standing === Standing.kept);
    if (damaged.length + kept.length > 0) {
      this.#transact(({ table }) => {
        for (const id of damaged) table.alerts.removeIntent(id);
        // Whoever is told of them begins them; the next one must not take them for untouched.
        for (const { id } of kept) table.alerts.reopen(id);
      });
    }
    return { intents, damagedIntents: damaged.length, statuses: alerts.statuses() };
  }

  /** The id of the newest alert that was stored, for {@link withdraw}. */
  get newestAlert(): number {
    return this.#newestAlert;
  }

  /** After a failed call and a new opening: takes back what is there of it after all. `before` is the core before it. */
  withdraw({ state, newestAlert }: Pick<BufferCore, 'state' | 'newestAlert'>): void {
    this.#rows.withdraw(state, newestAlert);
    this.#newestAlert = this.#rows.table.alerts.newest();
  }

  /**
   * Every transaction deletes what was acknowledged: the doubt that it writes down is that of the rows it leaves, and a row
   * that the collector has must not be left without.
   */
  #transact<T>(act: (rows: CountedRows) => T): T {
    const acknowledged = this.#acknowledged;
    const handedOut = this.#handedOut;
    const position = this.#thinner?.position;
    const ordinaryFrom = this.#ordinaryFrom;
    try {
      return this.#rows.transact(() => {
        this.#deleteAcknowledged();
        return act(this.#rows);
      });
    } catch (error) {
      this.#acknowledged = acknowledged;
      this.#handedOut = handedOut;
      if (this.#thinner !== undefined && position !== undefined) this.#thinner.position = position;
      this.#ordinaryFrom = ordinaryFrom;
      throw error;
    }
  }

  #deleteAcknowledged(): void {
    const { ranges } = this.#acknowledged;
    this.#rows.deleteRows(ranges);
    this.#handedOut = rangesWithout(this.#handedOut, ranges);
    this.#acknowledged = AcknowledgedRows.NONE;
  }

  /**
   * A process that ended while it was sending does not know what has arrived: until it is settled, or a session ends, all
   * that there was may have. In memory; the disk says as much as long as nothing is committed.
   */
  #doubtAfterCrash(): void {
    const { isSending, highestSequence } = this.state;
    if (!isSending) return;
    const inDoubt = boundedRanges([{ first: 1, last: highestSequence }]);
    this.#rows.state = { ...this.state, isSending: false, inDoubt };
  }

  /** That items are being sent must be on disk before the first of them leaves: one commit a session. */
  #handOut(first: number, last: number): void {
    if (!this.state.isSending) {
      this.#transact((rows) => {
        rows.state.isSending = true;
      });
    }
    this.#handedOut = normalRanges([...this.#handedOut, { first, last }]);
  }

  /** What was passed because it was in doubt is looked at again. */
  #doubtChanged(): void {
    this.#thinner?.doubtChanged();
    this.#ordinaryFrom = 1;
  }
}

/** Which batches are kept if only so much room can be made: the newest. */
function newestWithin(batches: readonly EncodedBatch[], limitBytes: number): boolean[] {
  const kept = batches.map(() => false);
  let left = limitBytes;
  for (let at = batches.length - 1; at >= 0; at--) {
    const bytes = rowBytes(batches[at].body.length);
    if (bytes > left) continue;
    kept[at] = true;
    left -= bytes;
  }
  return kept;
}
