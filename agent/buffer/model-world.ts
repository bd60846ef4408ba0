import { strict as assert } from 'node:assert';
import { rangeOf, type SequenceRanges } from '@tributary/core/sequence-ranges/sequence-ranges';
import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Column } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import type { EncodedBatch } from './buffer.js';
import type { BufferedItem } from './item-table.js';
import { BATCH, DECLARATION, decodeDeclaration, THINNED } from './loss-entries.js';
import { decodeThinnedBatch, THINNED_BATCH } from './thinned-batch.js';
import { TRANSITION } from './transition-ids.js';

/** Microseconds between two rows that are produced; no two of them have the same time. */
const ROW_US = 1_000_000;

/** A batch that was produced: the plain array that the buffer is compared with. */
interface ModelBatch {
  /** The epoch in which it counts as produced, and its sequence there. */
  home: string;
  sequence: number;
  readings: number;
}

/** A reading as it came out. */
interface Seen {
  series: number;
  row: number;
}

/** Shape of a batch to be made. */
export interface BatchShape {
  /** None of a transition of the device's own. */
  rows: number;
  series: number;
  segment: number;
  isProtected: boolean;
}

/** Of all epochs, in readings. */
export interface ModelTotals {
  produced: number;
  /** At the collector or waiting, each once. */
  kept: number;
  /** What the entries say. */
  declared: number;
}

export const hex = (epoch: Uint8Array): string => Buffer.from(epoch).toString('hex');
export const keyOf = (epoch: string, sequence: number): string => `${epoch}/${sequence}`;

/** What the world outside of a buffer knows: all that was produced, and what the collector has. */
export class ModelWorld {
  /** By epoch and sequence. */
  readonly collector = new Map<string, Item>();
  /** The highest sequence of each epoch. */
  readonly #highest = new Map<string, number>();
  readonly #batches: ModelBatch[] = [];
  /** Which batch each row is of. */
  readonly #rows: ModelBatch[] = [];
  readonly #lost = new Map<string, number>();
  readonly #arena = new DecodeArena();
  readonly #decoded = new WeakMap<Uint8Array, Seen[]>();

  /** A batch of real bytes, not counted as produced yet. */
  make({ rows, series, segment, isProtected }: BatchShape, firstRow = this.#rows.length): EncodedBatch {
    if (rows === 0) return { kind: TRANSITION, readings: 0, isProtected: true, body: transitionOf(series, segment) };
    const columns = Array.from({ length: series }, (_, at): Column => {
      const values = Float64Array.from({ length: rows }, (_value, row) => valueAt(at + 1, firstRow + row));
      const type = at === 1 ? 'boolean' : 'double';
      return { seriesId: at + 1, type, presence: null, count: rows, values, strings: [] };
    });
    const times = Float64Array.from({ length: rows }, (_, row) => row * ROW_US);
    const readings = rows * series;
    const baseTime = BigInt(firstRow * ROW_US);
    const body = encodeBatch({ segment, unitExponent: 6, baseTime, groups: [{ rows, times, columns }], readings });
    return { body, readings, isProtected };
  }

  /** Batches that are made of the next rows. */
  makeAll(shapes: readonly BatchShape[]): EncodedBatch[] {
    let row = this.#rows.length;
    return shapes.map((shape) => {
      const batch = this.make(shape, row);
      row += shape.rows;
      return batch;
    });
  }

  /** The batches of these shapes were appended, under these sequences. */
  produced(shapes: readonly BatchShape[], epoch: string, sequences: readonly number[]): void {
    for (const [at, { rows, series }] of shapes.entries()) {
      const batch = { home: epoch, sequence: sequences[at], readings: rows * series };
      this.#batches.push(batch);
      for (let row = 0; row < rows; row++) this.#rows.push(batch);
    }
  }

  lost(epoch: string, readings: number): void {
    this.#lost.set(epoch, (this.#lost.get(epoch) ?? 0) + readings);
  }

  /** What waits has moved to another epoch. */
  moved(epoch: string, waiting: readonly BufferedItem[]): void {
    for (const item of waiting) {
      if (item.kind !== BATCH) continue;
      const batch = this.#rows[this.#readingsIn(item.body, item.body)[0].row];
      batch.home = epoch;
      batch.sequence = item.sequence;
    }
  }

  durable(epoch: string): SequenceRange[] {
    const ranges: SequenceRange[] = [];
    for (const key of this.collector.keys()) {
      const [of, sequence] = key.split('/');
      if (of === epoch) ranges.push({ first: Number(sequence), last: Number(sequence) });
    }
    return ranges;
  }

  /**
   * In each epoch: produced = stored at the collector + waiting + declared, exactly. Each reading comes out once, as it
   * was; each sequence is accounted for; what is thinned was nowhere else. Throws an AssertionError.
   */
  check(epoch: string, highestSequence: number, rows: readonly BufferedItem[]): ModelTotals {
    this.#highest.set(epoch, highestSequence);
    const known = new Map<string, Item>(this.collector);
    for (const row of rows) known.set(keyOf(epoch, row.sequence), row);
    const balance = new Map<string, number>();
    const add = (to: string, readings: number) => balance.set(to, (balance.get(to) ?? 0) + readings);
    const seen = new Set<string>();
    const entries = new Map<string, LedgerEntry>();
    const declare = (entry: LedgerEntry) => {
      assert.equal(entry.bound, false, 'nothing is damaged, so nothing is a bound');
      const key = `${hex(entry.epoch)}/${entry.first}/${entry.last}/${entry.reason}`;
      const before = entries.get(key);
      if (before !== undefined) assert.equal(entry.readings, before.readings, 'the same loss, the same count');
      entries.set(key, entry);
    };
    const once = (readings: readonly Seen[]) => {
      for (const { series, row } of readings) {
        assert.ok(!seen.has(`${series}/${row}`), `reading ${row} of series ${series} is there once`);
        seen.add(`${series}/${row}`);
      }
    };
    for (const [key, item] of known) {
      const [of, sequence] = key.split('/');
      const { kind, readings, readingsBefore, body } = item;
      const checksum = itemChecksum(Buffer.from(of, 'hex'), Number(sequence), kind, readings, readingsBefore, body);
      assert.equal(item.checksum, checksum, `the checksum of ${key}`);
      if (kind === BATCH) {
        const found = this.#readingsIn(body, body);
        assert.equal(found.length, readings);
        once(found);
        add(of, readings);
      } else if (kind === DECLARATION) for (const entry of decodeDeclaration(body)) declare(entry);
      else if (kind === TRANSITION) assert.equal(readings, 0);
      else {
        assert.equal(kind, THINNED_BATCH);
        assert.equal(readings, 0);
        const { replaced, kept, batch } = decodeThinnedBatch(body);
        const found = this.#readingsIn(body, batch);
        once(found);
        for (const [at, entry] of replaced.entries()) {
          declare(entry);
          add(hex(entry.epoch), kept[at]);
          const of = found.filter(({ row }) => isIn(this.#rows[row], entry));
          assert.equal(of.length, kept[at], 'as many readings of a range as it says');
          const had = this.#batches.filter((each) => isIn(each, entry));
          const total = had.reduce((sum, each) => sum + each.readings, 0);
          assert.equal(kept[at] + entry.readings, total, 'kept and left out are what there was');
        }
      }
    }
    let declared = 0;
    for (const entry of entries.values()) {
      const of = hex(entry.epoch);
      add(of, entry.readings);
      declared += entry.readings;
      for (const [key, item] of this.collector) {
        const [itemEpoch, sequence] = key.split('/');
        if (itemEpoch !== of || Number(sequence) < entry.first || entry.last < Number(sequence)) continue;
        assert.notEqual(entry.reason, THINNED, `${key} was thinned, and has arrived`);
        // Stored beats declared: evicted while it was in doubt, and there after all.
        if (entry.readings === 0) continue;
        add(of, -item.readings);
        declared -= item.readings;
      }
    }
    const produced = new Map(this.#lost);
    for (const { home, readings } of this.#batches) produced.set(home, (produced.get(home) ?? 0) + readings);
    for (const of of this.#highest.keys()) {
      assert.equal(balance.get(of) ?? 0, produced.get(of) ?? 0, `stored, waiting and declared of ${of.slice(0, 4)}`);
    }
    this.#checkCover(known, [...entries.values()]);
    const total = [...produced.values()].reduce((sum, readings) => sum + readings, 0);
    return { produced: total, kept: seen.size, declared };
  }

  #checkCover(known: ReadonlyMap<string, Item>, entries: readonly LedgerEntry[]): void {
    for (const [of, highest] of this.#highest) {
      const covered = new Uint8Array(highest + 1);
      for (const { epoch, first, last } of entries) if (hex(epoch) === of) covered.fill(1, first, last + 1);
      let before = 0;
      for (let sequence = 1; sequence <= highest; sequence++) {
        const item = known.get(keyOf(of, sequence));
        if (item === undefined) assert.equal(covered[sequence], 1, `${sequence} is accounted for`);
        else {
          assert.ok(item.readingsBefore >= before, 'counts go up');
          before = item.readingsBefore + item.readings;
        }
      }
    }
  }

  /** The readings of a batch; each is as it was made. `key` is what stays the same object while a row waits. */
  #readingsIn(key: Uint8Array, body: Uint8Array): Seen[] {
    const known = this.#decoded.get(key);
    if (known !== undefined) return known;
    this.#arena.reset();
    const found: Seen[] = [];
    const { baseTime, groups } = decodeBatch(body, this.#arena);
    for (const { rows, times, columns } of groups) {
      for (const { seriesId, presence, values } of columns) {
        let index = 0;
        for (let at = 0; at < rows; at++) {
          if (presence !== null && ((presence[at >>> 3] >>> (at & 7)) & 1) === 0) continue;
          const row = (Number(baseTime) + times[at]) / ROW_US;
          assert.ok(Object.is(values[index], valueAt(seriesId, row)), 'a reading is as it was made');
          found.push({ series: seriesId, row });
          index++;
        }
      }
    }
    this.#decoded.set(key, found);
    return found;
  }
}

/** A transition of a series, in a segment; nothing else of it matters to a buffer. */
function transitionOf(series: number, segment: number): Uint8Array {
  return Uint8Array.of(0x18, series, 0x48, segment, 0x58, segment, ...new Uint8Array(40).fill(0x30));
}

/** Every reading has a value of its own making, with some that are not numbers. */
function valueAt(series: number, row: number): number {
  if (series === 2) return (row >>> 3) & 1;
  const value = (row * 7919 + series * 31) % 97;
  return value % 13 === 0 ? Number.NaN : value / 10;
}

function isIn({ home, sequence }: ModelBatch, entry: LedgerEntry): boolean {
  return home === hex(entry.epoch) && entry.first <= sequence && sequence <= entry.last;
}

/**
 * Whether what went from one append to the next is what the policy may take: the oldest first, protected after all that
 * are not, in doubt last; and nothing in doubt is thinned.
 */
export function checkOrder(
  before: readonly BufferedItem[],
  after: readonly BufferedItem[],
  epoch: string,
  doubted: SequenceRanges,
  mayHaveArrived: (sequence: number) => boolean,
): void {
  const left = new Map(after.map((item) => [item.sequence, item]));
  const highest = before.at(-1)?.sequence ?? 0;
  const thinned: SequenceRange[] = [];
  for (const item of after) {
    if (item.kind !== THINNED_BATCH || item.sequence <= highest) continue;
    for (const entry of decodeThinnedBatch(item.body).replaced) {
      assert.equal(hex(entry.epoch), epoch);
      thinned.push(entry);
      for (let at = entry.first; at <= entry.last; at++) {
        assert.ok(!mayHaveArrived(at), `${at} is in doubt and was thinned`);
      }
    }
  }
  thinned.sort((a, b) => a.first - b.first);
  const isDoubted = (item: BufferedItem): boolean => rangeOf(doubted, item.sequence) !== undefined;
  const classOf = (item: BufferedItem): number => (isDoubted(item) ? 2 : item.isProtected ? 1 : 0);
  const gone = before.filter((item) => !left.has(item.sequence));
  const evicted = gone.filter((item) => rangeOf(thinned, item.sequence) === undefined);
  for (const item of gone) {
    if (rangeOf(thinned, item.sequence) !== undefined)
      assert.equal(item.isProtected, false, 'protected is not thinned');
  }
  for (const item of before) {
    if (!left.has(item.sequence)) continue;
    const group = classOf(item);
    const stays = group === 2 && (item.kind === DECLARATION || item.kind === THINNED_BATCH);
    for (const victim of evicted) {
      if (stays) continue;
      assert.ok(classOf(victim) <= group, `${victim.sequence} went before ${item.sequence}, which should go first`);
      if (classOf(victim) === group) assert.ok(victim.sequence < item.sequence, 'the oldest first');
    }
  }
}
