import type { ForwardReadings } from '@tributary/core/rules/forward';
import type { MergedReadings } from '@tributary/core/rules/merged-readings';
import type { Origin } from '@tributary/core/rules/origin';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { BatchGroup } from '../batching/batch-group.js';
import type { RowWatch } from '../batching/batcher.js';
import type { RowStage } from '../batching/row-stage.js';
import type { JudgingLine } from './judging-line.js';
import type { RuleBook, RuleTrack } from './rule-book.js';
import { afterMissing, alignScout, type RuleCell } from './rule-cell.js';

/** What a scout finds is of no consequence but that the batch is closed, so nothing asks where its readings stand. */
const NOWHERE: Origin = { epoch: '', sequence: 0 };

/** Readings of one row that a rule over the device has to do with; a row of more is judged when its batch is written. */
const ROW_MEMBERS_MAX = 256;

/** The readings of a row that a rule over the device has to do with. */
interface RowReadings extends MergedReadings {
  texts: string[];
}

/**
 * Judges each row as it is taken, ahead of the truth: where a rule would fire or end, the batch is closed at once, and what
 * holds is judged from the batch as it lies in the buffer. Nothing is allocated for a row that changes nothing.
 */
export class RowScout implements RowWatch {
  readonly #book: RuleBook;
  readonly #line: JudgingLine;
  readonly #tracks = new WeakMap<BatchGroup, RuleTrack[]>();
  readonly #out: Transition[] = [];
  readonly #strings: [string] = [''];
  readonly #one: ForwardReadings & { strings: readonly string[] | null } = {
    from: 0,
    count: 1,
    timesUs: new Float64Array(1),
    values: new Float64Array(1),
    rows: null,
    strings: null,
  };
  readonly #merged = new Map<RuleCell, RowReadings>();
  /** Time has passed up to here, for rules that wait for it. */
  #passedUs = Number.NEGATIVE_INFINITY;
  #segment: number | undefined;

  constructor(book: RuleBook, line: JudgingLine) {
    this.#book = book;
    this.#line = line;
  }

  row(group: BatchGroup, segment: number, timeUs: number, stage: RowStage): boolean {
    const atUs = group.line === 'absolute' ? timeUs : timeUs + this.#shiftUs(segment, timeUs);
    const tracks = this.#tracksOf(group);
    for (let at = 0; at < stage.count; at++) {
      const index = stage.indexes[at]!;
      const track = tracks[index]!;
      if (track.cells.length === 0 && track.memberships.length === 0) continue;
      if (!(atUs > track.scoutUs)) continue;
      track.scoutUs = atUs;
      this.#advance(group, track, index, atUs, stage);
    }
    for (const [cell, readings] of this.#merged) {
      if (readings.count > 0) cell.scout.advanceMerged(readings, this.#out);
      readings.count = 0;
      readings.texts.length = 0;
    }
    return this.#take();
  }

  /** Time has passed, in microseconds of the judging line; answers whether a rule would fire or end. */
  passTime(untilUs: number): boolean {
    const { segment, fromUs } = this.#line.newest;
    this.#enter(segment, fromUs);
    this.#passedUs = Math.max(this.#passedUs, untilUs);
    for (const { rule, line, scout } of this.#book.cells) {
      if (rule.watchesTime && line === 'monotonic' && scout.dueUs <= untilUs) scout.passTime(untilUs, this.#out);
    }
    return this.#take();
  }

  /** Where scout and truth are apart although both have seen everything, the scout was wrong. */
  align(): void {
    for (const cell of this.#book.cells) {
      if (cell.scout.phase === cell.truth.phase) continue;
      alignScout(cell);
      this.#book.rejoin(cell);
    }
  }

  #take(): boolean {
    if (this.#out.length === 0) return false;
    this.#out.length = 0;
    return true;
  }

  #advance(group: BatchGroup, track: RuleTrack, index: number, atUs: number, stage: RowStage): void {
    const one = this.#one;
    const isText = group.types[index] === 'string';
    one.timesUs[0] = atUs;
    one.values[0] = isText ? 0 : stage.numbers[index]!;
    if (isText) this.#strings[0] = stage.texts[index]!;
    one.strings = isText ? this.#strings : null;
    const isLate = track.line === 'monotonic' && atUs <= this.#passedUs;
    for (const { rule, line, scout } of track.cells) {
      if (line === track.line && !(isLate && rule.watchesTime)) scout.advance(one, NOWHERE, this.#out);
    }
    for (const { cell, scout } of track.memberships) {
      if (cell.line !== track.line || scout < 0 || isLate) continue;
      const readings = this.#mergedOf(cell);
      const { count } = readings;
      if (count === ROW_MEMBERS_MAX) continue;
      readings.timesUs[count] = atUs;
      readings.values[count] = isText ? readings.texts.push(stage.texts[index]!) - 1 : stage.numbers[index]!;
      readings.member[count] = scout;
      readings.count = count + 1;
    }
  }

  #mergedOf(cell: RuleCell): RowReadings {
    let readings = this.#merged.get(cell);
    if (readings === undefined) {
      readings = {
        count: 0,
        timesUs: new Float64Array(ROW_MEMBERS_MAX),
        values: new Float64Array(ROW_MEMBERS_MAX),
        texts: [],
        member: new Int32Array(ROW_MEMBERS_MAX),
        origins: [NOWHERE],
        originOf: new Int32Array(ROW_MEMBERS_MAX),
        rows: new Int32Array(ROW_MEMBERS_MAX),
      };
      this.#merged.set(cell, readings);
    }
    return readings;
  }

  #tracksOf(group: BatchGroup): RuleTrack[] {
    let tracks = this.#tracks.get(group);
    if (tracks === undefined) {
      tracks = [];
      this.#tracks.set(group, tracks);
    }
    for (let index = tracks.length; index < group.specs.length; index++) {
      tracks.push(this.#book.track(group.specs[index]!, group.types[index]!, group.line));
    }
    return tracks;
  }

  #shiftUs(segment: number, us: number): number {
    const shiftUs = this.#line.shiftUs(segment, us);
    this.#enter(segment, us + shiftUs);
    return shiftUs;
  }

  #enter(segment: number, atUs: number): void {
    if (segment === this.#segment || segment < 0) return;
    // Before the first was declared, it was this one.
    if (this.#segment !== undefined) {
      for (const { line, scout } of this.#book.cells) if (line === 'monotonic') afterMissing(scout, atUs, this.#out);
    }
    this.#segment = segment;
  }
}
