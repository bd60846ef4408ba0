import type { EncodedBatch, RuleNote } from '../buffer/buffer.js';
import { TRANSITION } from '../buffer/transition-ids.js';
import type { JudgingRecord } from '../runtime/batch-writer.js';
import type { JudgingLine } from './judging-line.js';
import type { LocalTransition } from './local-transition.js';
import { NoteBudget } from './note-budget.js';
import { noteOf, type RuleCell } from './rule-cell.js';
import { lineNote } from './rule-notes.js';
import { encodeTransition } from './transition-body.js';

/** A transition that is to be acted upon; without a cell where its rule is gone. */
export interface Found {
  cell: RuleCell | undefined;
  transition: LocalTransition;
}

/**
 * What the rules have to write: transitions and the states that they leave at once and together, other states when the
 * budget allows. What was handed out is tried until it is on the disk, so nothing of it is remembered here but what is to be
 * acted upon then.
 */
export class RuleRecord {
  readonly #line: JudgingLine;
  readonly #nowUs: () => number;
  readonly #budget: NoteBudget;
  #items: EncodedBatch[] = [];
  #notes = new Map<string, string | undefined>();
  readonly #urgent = new Set<RuleCell>();
  #found: Found[] = [];
  #handedOut: Found[] = [];
  #takesAll = false;
  #isFinishing = false;
  /** Where among the cells the next save begins, so that each has its turn. */
  #cursor = 0;

  /** `nowUs` is the monotonic clock. */
  constructor(line: JudgingLine, nowUs: () => number, bytesPerReading: number) {
    this.#line = line;
    this.#nowUs = nowUs;
    this.#budget = new NoteBudget(bytesPerReading);
  }

  /** Something waits that must not wait. */
  get isUrgent(): boolean {
    return this.#items.length > 0 || this.#notes.size > 0 || this.#urgent.size > 0 || this.#found.length > 0;
  }

  earn(readings: number): void {
    this.#budget.earn(readings);
  }

  happened(cell: RuleCell, transition: LocalTransition): void {
    this.#urgent.add(cell);
    this.#found.push({ cell, transition });
  }

  /** The end of an incident whose rule is gone. */
  ended(transition: LocalTransition): void {
    this.#found.push({ cell: undefined, transition });
  }

  send(transition: LocalTransition, seriesId: number): void {
    this.#items.push({
      kind: TRANSITION,
      readings: 0,
      isProtected: true,
      body: encodeTransition(transition, seriesId),
    });
  }

  rules({ name, text }: RuleNote): void {
    this.#notes.set(name, text);
  }

  forget(name: string): void {
    this.#notes.set(name, undefined);
  }

  /** The buffer has none of it any more. */
  everything(cells: Iterable<RuleCell>, rules: RuleNote | undefined): void {
    if (rules !== undefined) this.rules(rules);
    for (const cell of cells) cell.isChanged = true;
    this.#takesAll = true;
  }

  /** From now on whatever has changed is written with each record. */
  finish(): void {
    this.#isFinishing = true;
  }

  /** What is to be written now; undefined for nothing. */
  take(cells: Iterable<RuleCell>): JudgingRecord | undefined {
    const nowUs = this.#nowUs();
    const isAll = this.#takesAll || this.#isFinishing;
    const dueBytes = isAll ? Number.POSITIVE_INFINITY : this.#budget.dueBytes(nowUs);
    const notes: RuleNote[] = [...this.#notes].map(([name, text]) => ({ name, text }));
    for (const cell of this.#urgent) notes.push(written(cell));
    if (dueBytes > 0) {
      const bytes = this.#addChanged([...cells], dueBytes, notes);
      if (bytes > 0 && !isAll) this.#budget.spend(bytes, nowUs);
    }
    if (notes.length === 0 && this.#items.length === 0 && this.#found.length === 0) return undefined;
    // No state is newer than the line of time that it lies on.
    if (notes.length > 0) notes.push(lineNote(this.#line.save(nowUs)));
    const record = { items: this.#items, notes };
    this.#handedOut = [...this.#handedOut, ...this.#found];
    this.#found = [];
    this.#items = [];
    this.#notes = new Map();
    this.#urgent.clear();
    this.#takesAll = false;
    return record;
  }

  /** What was handed out is on the disk: what of it is to be acted upon. */
  written(): Found[] {
    const found = this.#handedOut;
    this.#handedOut = [];
    return found;
  }

  /** Adds changed states up to so many bytes, at least one; answers the bytes. */
  #addChanged(cells: readonly RuleCell[], dueBytes: number, notes: RuleNote[]): number {
    let bytes = 0;
    for (let step = 0; step < cells.length && bytes < dueBytes; step++) {
      this.#cursor = (this.#cursor + 1) % cells.length;
      const cell = cells[this.#cursor]!;
      if (!cell.isChanged && cell.truth.revision === cell.savedRevision) continue;
      const note = written(cell);
      notes.push(note);
      bytes += note.name.length + (note.text?.length ?? 0);
    }
    return bytes;
  }
}

function written(cell: RuleCell): RuleNote {
  cell.isChanged = false;
  cell.savedRevision = cell.truth.revision;
  return { name: cell.noteName, text: JSON.stringify(noteOf(cell)) };
}
