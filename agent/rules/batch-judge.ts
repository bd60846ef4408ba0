import { Forward } from '@tributary/core/rules/forward';
import type { MergedReadings } from '@tributary/core/rules/merged-readings';
import type { Origin } from '@tributary/core/rules/origin';
import type { Transition } from '@tributary/core/rules/rule-instance';
import { SeriesReadings } from '@tributary/core/rules/series-readings';
import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch, Column } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import type { TimeLine } from '../sensors/source.js';
import type { JudgingLine } from './judging-line.js';
import { MergedRun } from './merged-run.js';
import type { RuleBook, RuleTrack, SeriesName } from './rule-book.js';
import { afterMissing, type RuleCell } from './rule-cell.js';

export interface BatchJudgeDeps {
  book: RuleBook;
  line: JudgingLine;
  /** A series of the catalogue by its id. */
  seriesOf(id: number): SeriesName | undefined;
  /** Something happened to the incident of a cell. Times are of the judging line, or Unix times on the absolute one. */
  happened(cell: RuleCell, transition: Transition): void;
}

/** Judges batches as they lie in the buffer, with their sequences: what it finds holds. */
export class BatchJudge {
  readonly #deps: BatchJudgeDeps;
  readonly #arena = new DecodeArena();
  readonly #readings = new SeriesReadings();
  readonly #forward = new Forward();
  readonly #out: Transition[] = [];
  readonly #merged = new Map<RuleCell, MergedRun>();
  /** By the catalogue's id, of each line. */
  readonly #tracks: Record<TimeLine, RuleTrack[]> = { monotonic: [], absolute: [] };
  #segment: number | undefined;
  /** The newest reading with a time of its own, by which time passes for rules over such series. */
  #absoluteUs = Number.NEGATIVE_INFINITY;
  /** Time has passed up to here on the monotonic line, for rules that wait for it. */
  #passedUs = Number.NEGATIVE_INFINITY;
  /** Readings that came after later ones of their series. */
  readingsIgnored = 0;

  constructor(deps: BatchJudgeDeps) {
    this.#deps = deps;
  }

  /** Batches that were appended together, in the order of their sequences. */
  judge(bodies: readonly { body: Uint8Array; origin: Origin }[]): void {
    for (const { body, origin } of bodies) {
      this.#arena.reset();
      this.#judgeBatch(decodeBatch(body, this.#arena), origin);
    }
    for (const [cell, run] of this.#merged) {
      const readings: MergedReadings | undefined = run.take(cell.truth.lastUs);
      if (readings === undefined) continue;
      cell.truth.advanceMerged(readings, this.#out);
      this.#tell(cell);
    }
  }

  /** No reading of the monotonic line at or before `untilUs` of the judging line is still to come. */
  passTime(untilUs: number): void {
    // Time that passes in a new segment passes after what was missing before it, whether anything came in it yet or not.
    const { segment, fromUs } = this.#deps.line.newest;
    if (segment > 0) this.#enter(segment, fromUs);
    this.#passedUs = Math.max(this.#passedUs, untilUs);
    for (const cell of this.#deps.book.cells) {
      if (!cell.rule.watchesTime) continue;
      const passedUs = cell.line === 'monotonic' ? untilUs : this.#absoluteUs;
      if (!(cell.truth.dueUs <= passedUs)) continue;
      cell.truth.passTime(passedUs, this.#out);
      this.#tell(cell);
    }
  }

  #judgeBatch(batch: Batch, origin: Origin): void {
    const line: TimeLine = batch.segment === 0 ? 'absolute' : 'monotonic';
    const shiftUs = line === 'absolute' ? 0 : this.#deps.line.shiftUs(batch.segment, Number(batch.baseTime));
    if (line === 'monotonic') this.#enter(batch.segment, Number(batch.baseTime) + shiftUs);
    this.#readings.openBatch(batch, shiftUs);
    for (const group of batch.groups) {
      this.#readings.openGroup(group);
      for (const column of group.columns) if (column.count > 0) this.#judgeColumn(column, line, origin);
    }
  }

  #enter(segment: number, atUs: number): void {
    if (segment === this.#segment) return;
    if (this.#segment !== undefined) this.#interrupt(atUs);
    this.#segment = segment;
  }

  #interrupt(atUs: number): void {
    for (const cell of this.#deps.book.cells) {
      if (cell.line !== 'monotonic') continue;
      afterMissing(cell.truth, atUs, this.#out);
      this.#tell(cell);
    }
  }

  #judgeColumn(column: Column, line: TimeLine, origin: Origin): void {
    const track = this.#trackOf(column, line);
    if (track === undefined || (track.cells.length === 0 && track.memberships.length === 0)) return;
    this.#readings.select(column);
    const forward = this.#forward;
    this.readingsIgnored += forward.admit(this.#readings, track.truthUs);
    const { from, count, timesUs } = forward;
    if (from === count) return;
    for (const cell of track.cells) {
      if (cell.line !== line) continue;
      forward.from = cell.rule.watchesTime ? this.#afterPassed(line, from, count) : from;
      forward.count = count;
      cell.truth.advance(forward, origin, this.#out);
      this.#tell(cell);
    }
    forward.from = this.#afterPassed(line, from, count);
    for (const { cell, truth } of track.memberships) {
      if (cell.line === line && truth >= 0) this.#runOf(cell).add(forward, truth, origin);
    }
    track.truthUs = timesUs[count - 1]!;
    if (line === 'absolute') this.#absoluteUs = Math.max(this.#absoluteUs, track.truthUs);
  }

  /** Where those readings begin that time has not passed: a rule that was told of it takes no earlier ones. */
  #afterPassed(line: TimeLine, from: number, count: number): number {
    if (line === 'absolute') return from;
    let first = from;
    while (first < count && this.#forward.timesUs[first]! <= this.#passedUs) first++;
    return first;
  }

  #tell(cell: RuleCell): void {
    for (const transition of this.#out) this.#deps.happened(cell, transition);
    this.#out.length = 0;
  }

  #runOf(cell: RuleCell): MergedRun {
    let run = this.#merged.get(cell);
    if (run === undefined) {
      run = new MergedRun();
      this.#merged.set(cell, run);
    }
    return run;
  }

  #trackOf({ seriesId, type }: Column, line: TimeLine): RuleTrack | undefined {
    const known = this.#tracks[line][seriesId];
    if (known !== undefined) return known;
    const series = this.#deps.seriesOf(seriesId);
    if (series === undefined) return undefined;
    const track = this.#deps.book.track(series, type, line);
    this.#tracks[line][seriesId] = track;
    return track;
  }
}
