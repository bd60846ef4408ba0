import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { IntervalSet } from '../store/interval-set.js';

/** What the order of a device's items must know of one. */
export interface LineItem {
  readonly sequence: number;
  /** Readings that the item adds to what was produced, and those before it, as its head says. */
  readonly readings: number;
  readonly readingsBefore: number;
  /** Of a thinned batch what it replaces; empty for all others. */
  readonly replaced: readonly LedgerEntry[];
  /** Event times of its earliest and its latest reading. */
  readonly firstUs: number;
  readonly lastUs: number;
}

/** Where a walk along an epoch has come to. */
export interface LinePoint {
  /** The highest sequence that was passed, and the readings that were produced up to its end; NaN where nobody says. */
  sequence: number;
  readingsEnd: number;
  /** The latest event time that was passed. */
  lastUs: number;
}

/**
 * Intervals that are remembered of each kind. A device that has lost more ranges than this in one epoch has its oldest gaps
 * forgotten: they count as if nothing were missing in them, and only the rules' `gap` sees them.
 */
const INTERVALS_MAX = 64;

/** As JSON: pairs of first and last. */
export interface SavedEpochLine {
  sequence: number;
  readingsEnd: number | null;
  lastUs: number | null;
  here: [number, number][];
  empty: [number, number][];
  /** Absent where an earlier version wrote it, which had these among the empty ones alone. */
  future?: [number, number][] | undefined;
  lost: [number, number][];
  /** Pairs: a sequence that was jumped to, and up to when time had passed before. */
  told: [number, number][];
  /** Pairs: a sequence right before which something was missing, and the event time. Absent where an earlier version wrote it. */
  breaks?: [number, number][] | undefined;
}

/**
 * The order of one epoch's items, and what of it is here. It answers the one question that decides whether time between two
 * readings is covered: is something missing between this item and what came before it in its epoch?
 */
export class EpochLine implements LinePoint {
  sequence = 0;
  readingsEnd = 0;
  lastUs = Number.NEGATIVE_INFINITY;
  /** Sequences whose readings are here: stored, or replaced by a stored thinned batch. */
  readonly #here = new IntervalSet();
  /** Sequences that hold no readings that rules see: declarations, the own ones of thinned batches, readings from the future. */
  readonly #empty = new IntervalSet();
  /** Those of them that hold readings all the same, which counts contain. */
  readonly #future = new IntervalSet();
  /** Sequences that were declared lost. */
  readonly #lost = new IntervalSet();

  /**
   * Up to when it was told that time had passed, with nothing missing, when an item jumped: by the sequence that it begins
   * the line at. What was silent until then was silent, whatever was lost afterwards, and nothing that is stored says so.
   */
  readonly #told = new Map<number, number>();

  /**
   * Event times before which something was missing, by the sequence that the item begins the line at. What is missing may
   * come later, and have later times: a copy of the buffer with another clock had it.
   */
  readonly #breaks = new Map<number, number>();

  /** Everything before an item counts as here: nobody remembers what was. */
  assumeBefore(sequence: number): void {
    if (sequence <= 1) return;
    this.#here.add(1, sequence - 1);
    this.sequence = sequence - 1;
    this.readingsEnd = Number.NaN;
  }

  /** Notes that an item is here; an empty one holds no readings of its own: a declaration, or a thinned batch. */
  take(sequence: number, isEmpty: boolean): void {
    add(isEmpty ? this.#empty : this.#here, sequence, sequence);
  }

  /** Notes that an item is here whose readings no rule sees, because they are from the future. */
  takeFuture(sequence: number): void {
    add(this.#empty, sequence, sequence);
    add(this.#future, sequence, sequence);
  }

  /** Notes that a stored thinned batch stands for these sequences. */
  replace(first: number, last: number): void {
    add(this.#here, first, last);
  }

  lose(first: number, last: number): void {
    add(this.#lost, first, last);
  }

  /**
   * Whether nothing is missing right before an item that begins the line at `first`, for a walk that has come to `point`.
   * Counts decide where they are known; else the sequences before it must be here, those without readings left out. A
   * declaration that comes late, from a copy of the buffer, changes neither.
   */
  continues(point: LinePoint, { first, readingsBefore }: LineRange): boolean {
    if (point.sequence > 0 && point.readingsEnd === readingsBefore) return true;
    const before = this.#before(first);
    if (!this.#here.has(before)) return false;
    const areCounted = before === point.sequence && !Number.isNaN(point.readingsEnd) && !Number.isNaN(readingsBefore);
    return !areCounted || this.#future.overlaps(before + 1, first - 1);
  }

  /** Notes up to when time had passed before the item that begins at `first`, and before which readings are missing. */
  noteTold(first: number, toldUs: number): void {
    note(this.#told, first, toldUs);
  }

  /** Notes the event time of an item that begins at `first`, if it is not known that nothing is missing before it. */
  noteBreak(first: number, firstUs: number): void {
    if (!this.#here.has(this.#before(first))) note(this.#breaks, first, firstUs);
  }

  /** The earliest event time before which something was missing, and is here now. Each is told once; Infinity for none. */
  takeMended(): number {
    let mendedUs = Number.POSITIVE_INFINITY;
    for (const [first, firstUs] of this.#breaks) {
      if (!this.#here.has(this.#before(first))) continue;
      this.#breaks.delete(first);
      mendedUs = Math.min(mendedUs, firstUs);
    }
    return mendedUs;
  }

  /** See `noteTold`; -Infinity where nothing was told. */
  toldBefore(first: number): number {
    return this.#told.get(first) ?? Number.NEGATIVE_INFINITY;
  }

  /** Whether it is known of each sequence from `first` to `last` what became of it. */
  isSettled(first: number, last: number): boolean {
    let at = last;
    while (at >= first) {
      const start = this.#here.startOf(at) ?? this.#empty.startOf(at) ?? this.#lost.startOf(at);
      if (start === undefined) return false;
      at = start - 1;
    }
    return true;
  }

  save(): SavedEpochLine {
    const { sequence, readingsEnd, lastUs } = this;
    const pairs = (set: IntervalSet) => set.toRanges().map(({ first, last }): [number, number] => [first, last]);
    return {
      sequence,
      readingsEnd: Number.isNaN(readingsEnd) ? null : readingsEnd,
      lastUs: Number.isFinite(lastUs) ? lastUs : null,
      here: pairs(this.#here),
      empty: pairs(this.#empty),
      future: pairs(this.#future),
      lost: pairs(this.#lost),
      told: [...this.#told],
      breaks: [...this.#breaks],
    };
  }

  static restore(saved: SavedEpochLine): EpochLine {
    const line = new EpochLine();
    line.sequence = saved.sequence;
    line.readingsEnd = saved.readingsEnd ?? Number.NaN;
    line.lastUs = saved.lastUs ?? Number.NEGATIVE_INFINITY;
    for (const [first, last] of saved.here) line.#here.add(first, last);
    for (const [first, last] of saved.empty) line.#empty.add(first, last);
    for (const [first, last] of saved.future ?? []) line.#future.add(first, last);
    for (const [first, last] of saved.lost) line.#lost.add(first, last);
    for (const [first, toldUs] of saved.told) line.#told.set(first, toldUs);
    for (const [first, firstUs] of saved.breaks ?? []) line.#breaks.set(first, firstUs);
    return line;
  }

  /** The sequence before `first`, those without readings left out; 0 where there is none. */
  #before(first: number): number {
    let before = first - 1;
    for (;;) {
      const start = this.#empty.startOf(before);
      if (start === undefined) return before;
      before = start - 1;
    }
  }
}

function note(times: Map<number, number>, first: number, us: number): void {
  times.set(first, us);
  if (times.size <= INTERVALS_MAX) return;
  const [oldest] = times.keys();
  times.delete(oldest!);
}

function add(set: IntervalSet, first: number, last: number): void {
  set.add(first, last);
  if (set.size <= INTERVALS_MAX) return;
  const [oldest, next] = set.toRanges();
  set.add(oldest!.first, next!.last);
}

/** Moves a walk past an item that begins the line at `first` and ends at `last`. */
export function pass(point: LinePoint, item: LineItem, last: number, isThinned: boolean): void {
  if (last >= point.sequence) {
    point.sequence = last;
    point.readingsEnd = isThinned ? Number.NaN : item.readingsBefore + item.readings;
  }
  if (item.lastUs > point.lastUs) point.lastUs = item.lastUs;
}

/** Where an item stands in the line of its epoch. */
export interface LineRange {
  first: number;
  last: number;
  /** Readings that were produced before `first`; NaN where nobody says. */
  readingsBefore: number;
}

/**
 * An item stands at its sequence, a thinned one at what it replaces of its epoch: what had been produced when it was made says
 * nothing about that place.
 */
export function lineRange(item: LineItem, epoch: Uint8Array): LineRange {
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for (const entry of item.replaced) {
    if (Buffer.compare(entry.epoch, epoch) !== 0) continue;
    first = Math.min(first, entry.first);
    last = Math.max(last, entry.last);
  }
  const { sequence, readingsBefore } = item;
  return last === 0 ? { first: sequence, last: sequence, readingsBefore } : { first, last, readingsBefore: Number.NaN };
}
