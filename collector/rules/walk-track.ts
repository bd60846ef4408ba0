import type { ForwardReadings } from '@tributary/core/rules/forward';
import { MergeBuffer } from './merge-buffer.js';
import type { SeriesTrack } from './tracks.js';
import type { WalkBreak, WalkCell } from './walk-cell.js';

interface WalkMembership {
  cell: WalkCell;
  member: number;
}

/** One series on a walk: readings are held back until nothing earlier can come. */
export class WalkTrack {
  readonly track: SeriesTrack;
  readonly buffer = new MergeBuffer();
  /** The newest reading that was shown to the rules, and its epoch. */
  timeUs: number;
  epoch = '';

  readonly #cells: readonly WalkCell[];
  readonly #memberships: readonly WalkMembership[];
  readonly #view: ForwardReadings = {
    from: 0,
    count: 0,
    timesUs: new Float64Array(0),
    values: new Float64Array(0),
    rows: null,
    strings: null,
  };

  constructor(track: SeriesTrack, cells: readonly WalkCell[], memberships: readonly WalkMembership[], timeUs: number) {
    this.track = track;
    this.#cells = cells;
    this.#memberships = memberships;
    this.timeUs = timeUs;
  }

  /** Shows the rules of the series what lies before `horizonUs`; what lies behind a break comes after an interruption. */
  release(horizonUs: number, breaks: readonly WalkBreak[]): void {
    const { buffer } = this;
    buffer.sort();
    this.#dropTies();
    const { timesUs } = buffer;
    let from = 0;
    for (const { atUs, leftUs } of breaks) {
      const until = this.#firstFrom(from, Math.min(atUs, horizonUs));
      this.#show(from, until);
      from = until;
      for (const cell of this.#cells) cell.interrupt(leftUs, atUs);
    }
    const until = this.#firstFrom(from, horizonUs);
    this.#show(from, until);
    if (until === buffer.count) buffer.clear();
    else if (until > 0) buffer.dropBefore(timesUs[until]!);
  }

  #firstFrom(from: number, timeUs: number): number {
    const { timesUs, count } = this.buffer;
    let at = from;
    while (at < count && timesUs[at]! < timeUs) at += 1;
    return at;
  }

  /** Of readings of one instant the first in the order of epoch, sequence and row counts. */
  #dropTies(): void {
    const { buffer } = this;
    const { timesUs, values, rows, originOf } = buffer;
    let kept = 0;
    for (let at = 0; at < buffer.count; at += 1) {
      const isTie = kept > 0 && timesUs[at] === timesUs[kept - 1];
      if (isTie && !precedes(buffer, at, kept - 1)) continue;
      const to = isTie ? kept - 1 : kept;
      if (to !== at) {
        timesUs[to] = timesUs[at]!;
        values[to] = values[at]!;
        rows[to] = rows[at]!;
        originOf[to] = originOf[at]!;
      }
      kept = to + 1;
    }
    buffer.count = kept;
  }

  #show(from: number, until: number): void {
    if (from === until) return;
    const { buffer } = this;
    const { originOf } = buffer;
    let begin = from;
    while (begin < until) {
      let end = begin + 1;
      while (end < until && originOf[end] === originOf[begin]) end += 1;
      this.#showRun(begin, end, originOf[begin]!);
      begin = end;
    }
    this.timeUs = buffer.timesUs[until - 1]!;
  }

  #showRun(from: number, until: number, originIndex: number): void {
    const view = this.#view;
    const { timesUs, values, rows, origins, dictionaries } = this.buffer;
    const origin = origins[originIndex]!;
    view.timesUs = timesUs;
    view.values = values;
    view.rows = rows;
    view.strings = dictionaries[originIndex] ?? null;
    this.epoch = origin.epoch;
    for (const cell of this.#cells) {
      view.from = this.#judgedFrom(cell, from, until);
      view.count = until;
      cell.advance(view, origin);
    }
    for (const { cell, member } of this.#memberships) {
      const begin = this.#judgedFrom(cell, from, until);
      if (member >= 0 && begin < until) cell.gather(member, view, begin, until, origin);
    }
  }

  /** A rule that is younger than the readings does not judge them. */
  #judgedFrom({ cell }: WalkCell, from: number, until: number): number {
    let at = from;
    while (at < until && this.buffer.timesUs[at]! <= cell.beginUs) at += 1;
    return at;
  }
}

function precedes(buffer: MergeBuffer, a: number, b: number): boolean {
  const one = buffer.origins[buffer.originOf[a]!]!;
  const other = buffer.origins[buffer.originOf[b]!]!;
  if (one.epoch !== other.epoch) return one.epoch < other.epoch;
  if (one.sequence !== other.sequence) return one.sequence < other.sequence;
  return buffer.rows[a]! < buffer.rows[b]!;
}
