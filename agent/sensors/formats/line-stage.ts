import type { ColumnType } from '@tributary/proto/batch/batch';
import { SERIES_NAME_BYTES_MAX, STATE_BYTES_MAX, utf8Bytes } from '../series-limits.js';
import type { RowSink } from '../source.js';
import type { LineDropReason } from './line-drop.js';
import { textFault, tokenKind } from './strict-text.js';

/** What the configuration says about a field of the device's lines. */
export interface FieldConfig {
  /** The series' name; the field's own where absent. */
  name?: string | undefined;
  unit?: string | undefined;
  /** Fixes the type; otherwise the first value that is seen decides for the life of the source. */
  type?: ColumnType | undefined;
}

export interface LineStageOptions {
  sink: RowSink;
  labels: Readonly<Record<string, string>>;
  /** Where present, these fields alone are taken, and the others are not even checked. */
  fields?: Readonly<Record<string, FieldConfig>> | undefined;
  /** The most series that this source may have. */
  seriesMax: number;
}

/**
 * A device has a few dozen fields at most. A name that is built from noise or from a counter makes a new series with each
 * line, and each series costs the catalogue of the device and of the collector for ever.
 */
export const SERIES_MAX_DEFAULT = 256;

interface Field {
  name: string;
  unit: string;
  type: ColumnType | undefined;
  /** The type comes from the configuration. */
  pinned: boolean;
  /** Of the sink; -1 until a whole line with this field was good. */
  index: number;
  /** The line that last had this field. */
  line: number;
  lineType: ColumnType;
  number: number;
  text: string;
}

/**
 * Holds the values of one line until the whole line has proved good, then writes them to the sink as one row.
 *
 * A line is taken whole or not at all: if one field is bad, so may be its neighbours (a lost byte shifts columns, a lost
 * line end glues two lines together), and a row that is silently short of one series hides the fault. Nor does a line that
 * is dropped leave anything behind: no series, no type.
 */
export class LineStage {
  readonly #sink: RowSink;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #fields = new Map<string, Field>();
  readonly #select: boolean;
  readonly #seriesMax: number;
  readonly #staged: Field[] = [];
  /** Names that this line brought; they leave again when it is dropped. */
  readonly #fresh: string[] = [];
  #line = 0;

  constructor(options: LineStageOptions) {
    this.#sink = options.sink;
    this.#labels = options.labels;
    this.#seriesMax = options.seriesMax;
    this.#select = options.fields !== undefined;
    for (const [field, { name = field, unit = '', type }] of Object.entries(options.fields ?? {})) {
      this.#fields.set(field, newField(name, unit, type));
    }
  }

  /** Starts a line; what the last one left without a commit is forgotten. */
  begin(): void {
    for (const name of this.#fresh) this.#fields.delete(name);
    this.#fresh.length = 0;
    this.#staged.length = 0;
    this.#line += 1;
  }

  /** Whether the configuration takes this field. */
  wants(field: string): boolean {
    return !this.#select || this.#fields.has(field);
  }

  number(field: string, value: number): LineDropReason | undefined {
    if (!this.wants(field)) return undefined;
    const state = this.#field(field);
    if (typeof state === 'string') return state;
    if (state.type === 'boolean' && state.pinned && (value === 0 || value === 1)) {
      return this.#stage(state, 'boolean', value, '');
    }
    if (!Number.isFinite(value)) return 'number_range';
    return this.#stage(state, 'double', value, '');
  }

  boolean(field: string, value: boolean): LineDropReason | undefined {
    if (!this.wants(field)) return undefined;
    const state = this.#field(field);
    return typeof state === 'string' ? state : this.#stage(state, 'boolean', value ? 1 : 0, '');
  }

  /** A quoted text. One that looks like a number is refused unless the configuration calls the field a string. */
  string(field: string, text: string): LineDropReason | undefined {
    if (!this.wants(field)) return undefined;
    const state = this.#field(field);
    if (typeof state === 'string') return state;
    if (!(state.pinned && state.type === 'string')) {
      const kind = tokenKind(text.trim());
      if (kind === 'number' || kind === 'bad_number') return 'number_as_string';
      if (kind === 'empty_value' || kind === 'not_a_number') return kind;
    }
    return this.#stageText(state, text);
  }

  /** A bare token of a text format; its own form says what it is. */
  token(field: string, text: string): LineDropReason | undefined {
    if (!this.wants(field)) return undefined;
    const kind = tokenKind(text);
    if (kind === 'number') {
      const state = this.#fields.get(field);
      if (state?.pinned === true && state.type === 'string') return this.#textOf(field, text);
      return this.number(field, Number(text));
    }
    if (kind === 'boolean' || kind === 'word') {
      const state = this.#fields.get(field);
      const asText = kind === 'word' || (state?.pinned === true && state.type === 'string');
      return asText ? this.#textOf(field, text) : this.boolean(field, text === 'true');
    }
    return kind;
  }

  /** Writes the line as a row; `timeUs` on the sink's line. A reason means that there was nothing to write. */
  commit(timeUs: number): LineDropReason | undefined {
    if (this.#staged.length === 0) return 'no_values';
    this.#fresh.length = 0;
    const sink = this.#sink;
    sink.begin(timeUs);
    for (const field of this.#staged) {
      if (field.index < 0) {
        field.type = field.lineType;
        field.index = sink.addSeries({
          name: field.name,
          unit: field.unit,
          labels: this.#labels,
          type: field.lineType,
        });
      }
      if (field.lineType === 'double') sink.number(field.index, field.number);
      else if (field.lineType === 'boolean') sink.boolean(field.index, field.number === 1);
      else sink.string(field.index, field.text);
    }
    sink.end();
    return undefined;
  }

  #field(field: string): Field | LineDropReason {
    const known = this.#fields.get(field);
    if (known !== undefined) return known.line === this.#line ? 'duplicate_field' : known;
    if (field === '' || utf8Bytes(field) > SERIES_NAME_BYTES_MAX) return 'bad_name';
    if (this.#fields.size >= this.#seriesMax) return 'series_limit';
    const fault = textFault(field);
    if (fault !== undefined) return fault;
    const fresh = newField(field, '', undefined);
    this.#fields.set(field, fresh);
    this.#fresh.push(field);
    return fresh;
  }

  #textOf(field: string, text: string): LineDropReason | undefined {
    const state = this.#field(field);
    return typeof state === 'string' ? state : this.#stageText(state, text);
  }

  #stageText(state: Field, text: string): LineDropReason | undefined {
    if (text.length > STATE_BYTES_MAX || utf8Bytes(text) > STATE_BYTES_MAX) return 'string_too_long';
    return textFault(text) ?? this.#stage(state, 'string', 0, text);
  }

  #stage(state: Field, type: ColumnType, number: number, text: string): LineDropReason | undefined {
    if (state.type !== undefined && state.type !== type) return 'type_changed';
    state.line = this.#line;
    state.lineType = type;
    state.number = number;
    state.text = text;
    this.#staged.push(state);
    return undefined;
  }
}

function newField(name: string, unit: string, type: ColumnType | undefined): Field {
  return { name, unit, type, pinned: type !== undefined, index: -1, line: 0, lineType: 'double', number: 0, text: '' };
}
