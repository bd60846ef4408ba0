import { createHash } from 'node:crypto';
import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { RuleInstance, Transition } from '@tributary/core/rules/rule-instance';
import { savedInstanceSchema } from '@tributary/core/rules/saved-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import * as v from 'valibot';
import type { TimeLine } from '../sensors/source.js';
import { type LocalTransition, localTransitionSchema, seriesIdentitySchema } from './local-transition.js';

/** What a note says of one rule and series; everything that a restart needs, also of a rule that is gone by then. */
export const cellNoteSchema = v.object({
  rule: v.string(),
  series: seriesIdentitySchema,
  line: v.picklist(['monotonic', 'absolute']),
  saved: savedInstanceSchema,
  /** The newest transition, and whether it was handed to whoever acts upon it. */
  last: v.optional(localTransitionSchema),
  isTold: v.optional(v.boolean()),
});

export type CellNote = v.InferOutput<typeof cellNoteSchema>;

/** Notes of cells begin with this. */
export const CELL_NOTE = 'state ';

/** The name of a cell's note: texts of any length may stand in an identity. */
export function cellNoteName(rule: string, { name, unit, labels }: SeriesIdentity): string {
  const hash = createHash('sha256').update(JSON.stringify([rule, name, unit, Object.entries(labels).sort()]));
  return `${CELL_NOTE}${hash.digest('base64url').slice(0, 22)}`;
}

/**
 * A rule at work for one series, or for the device. There are two instances of it: `truth` has judged what has a sequence, and
 * only what it says is true; `scout` has seen each row as it came, and says when it is time to close the batch.
 */
export interface RuleCell {
  readonly rule: CompiledRule;
  /** Without a name where the rule is over the device. */
  readonly series: SeriesIdentity;
  readonly noteName: string;
  line: TimeLine;
  /** A reading has come since the start. */
  isRead: boolean;
  truth: RuleInstance;
  scout: RuleInstance;
  /** `truth.revision` as it was written down last. */
  savedRevision: number;
  last: LocalTransition | undefined;
  isTold: boolean;
  /**
   * When the beginning of what fires was last said while a collector was there, in microseconds of the monotonic clock;
   * -Infinity for never in this run.
   */
  saidAtUs: number;
  /** What only this cell has changed beside the instance. */
  isChanged: boolean;
}

/** A cell at rest, or as `note` says; undefined where the note is another rule's version. */
export function newCell(
  rule: CompiledRule,
  series: SeriesIdentity,
  line: TimeLine,
  note?: CellNote,
): RuleCell | undefined {
  const truth = note === undefined ? rule.newInstance(series) : rule.restore(note.saved, series);
  if (truth === undefined) return undefined;
  return {
    rule,
    series,
    noteName: cellNoteName(rule.name, series),
    line,
    isRead: false,
    truth,
    scout: copyOf(rule, truth, series),
    savedRevision: truth.revision,
    last: note?.last,
    isTold: note === undefined || note.last === undefined || note.isTold === true,
    saidAtUs: Number.NEGATIVE_INFINITY,
    isChanged: false,
  };
}

/** Begins anew, at rest, on another line of time. */
export function moveCell(cell: RuleCell, line: TimeLine): void {
  cell.truth = cell.rule.newInstance(cell.series);
  cell.scout = cell.rule.newInstance(cell.series);
  cell.line = line;
  cell.isChanged = true;
}

/**
 * Readings are missing before `atUs`, and from there on none are, for that is when this device takes them again: on the judging
 * line. `atUs` is undefined where nobody can say when that is.
 */
export function afterMissing(instance: RuleInstance, atUs: number | undefined, out: Transition[]): void {
  instance.interrupt();
  if (atUs !== undefined) instance.resume(atUs, out);
}

/** The scout begins anew where the truth is. */
export function alignScout(cell: RuleCell): void {
  cell.scout = copyOf(cell.rule, cell.truth, cell.series);
}

function copyOf(rule: CompiledRule, instance: RuleInstance, series: SeriesIdentity): RuleInstance {
  return rule.restore(instance.save(), series) ?? rule.newInstance(series);
}

export function noteOf({ rule, series, line, truth, last, isTold }: RuleCell): CellNote {
  return {
    rule: rule.name,
    series: { ...series, labels: { ...series.labels } },
    line,
    saved: truth.save(),
    ...(last === undefined ? {} : { last }),
    ...(last !== undefined && isTold ? { isTold } : {}),
  };
}
