import * as v from 'valibot';
import type { RuleNote } from '../buffer/buffer.js';
import { type SavedLine, savedLineSchema } from './judging-line.js';
import { CELL_NOTE, type CellNote, cellNoteSchema } from './rule-cell.js';

/** Names of the notes that are not of a cell. */
const RULES_NOTE = 'rules';
const LINE_NOTE = 'line';

const keptRulesSchema = v.object({ version: v.string(), text: v.string() });

/** The rules as the collector sent them. */
export type KeptRules = v.InferOutput<typeof keptRulesSchema>;

export interface FoundNotes {
  rules: KeptRules;
  line: SavedLine | undefined;
  /** By the name of the note. */
  cells: Map<string, CellNote>;
  /** Notes that a later version wrote, or that were changed on the disk. */
  unreadable: number;
}

export function keptRulesNote(rules: KeptRules): RuleNote {
  return { name: RULES_NOTE, text: JSON.stringify(rules) };
}

export function lineNote(line: SavedLine): RuleNote {
  return { name: LINE_NOTE, text: JSON.stringify(line) };
}

/** Reads what an earlier start has left. Without its line of time no state means anything. */
export function readRuleNotes(notes: readonly RuleNote[]): FoundNotes {
  const found: FoundNotes = { rules: { version: '', text: '' }, line: undefined, cells: new Map(), unreadable: 0 };
  for (const { name, text } of notes) {
    if (text === undefined) continue;
    if (name === RULES_NOTE) found.rules = parsed(keptRulesSchema, text) ?? found.rules;
    else if (name === LINE_NOTE) found.line = parsed(savedLineSchema, text);
    else if (name.startsWith(CELL_NOTE)) {
      const note = parsed(cellNoteSchema, text);
      if (note === undefined) found.unreadable++;
      else found.cells.set(name, note);
    } else found.unreadable++;
  }
  if (found.line === undefined) {
    found.unreadable += found.cells.size;
    found.cells.clear();
  }
  return found;
}

function parsed<S extends v.GenericSchema>(schema: S, text: string): v.InferOutput<S> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = v.safeParse(schema, value);
  return result.success ? result.output : undefined;
}
