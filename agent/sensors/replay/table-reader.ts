import { isUtf8 } from 'node:buffer';
import type { LineDropReason } from '../formats/line-drop.js';
import type { LineStage } from '../formats/line-stage.js';
import { textFault } from '../formats/strict-text.js';
import { parseTimeUs, TIME_COLUMNS, type TimeColumn } from './table-time.js';

/** Why a line of a table was dropped. `bad_time`: its time is none; `bad_header`: no line of it can be read. */
export type TableDropReason = LineDropReason | 'bad_time' | 'bad_header';

/**
 * Reads a plain CSV table: a header with the time column first, then a row an instant; an empty cell is a missing value.
 * A row is taken as a whole or not at all.
 */
export class TableReader {
  readonly #stage: LineStage;
  #timeColumn: TimeColumn | undefined;
  #columns: string[] | undefined;
  /** Of the row that `parse` has read. */
  timeUs = 0;

  constructor(stage: LineStage) {
    this.#stage = stage;
  }

  /** The next line is the header of a table. */
  restart(): void {
    this.#columns = undefined;
  }

  /**
   * Reads a line. `row` says that its time is in `timeUs` and its values are staged, to be committed; a row without values
   * is a `blank`.
   */
  parse(line: Uint8Array): 'row' | 'header' | 'blank' | TableDropReason {
    if (!isUtf8(line)) return 'not_utf8';
    const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
    const fault = textFault(text);
    if (fault !== undefined) return fault;
    return this.#columns === undefined ? this.#header(text) : this.#row(text, this.#columns);
  }

  #header(text: string): 'header' | TableDropReason {
    // Spreadsheets write a byte order mark.
    const [first, ...columns] = text
      .replace(/^\ufeff/, '')
      .split(',')
      .map((cell) => cell.trim());
    this.#timeColumn = TIME_COLUMNS.find((name) => name === first);
    if (this.#timeColumn === undefined || columns.length === 0) return 'bad_header';
    if (columns.includes('') || new Set(columns).size !== columns.length) return 'bad_header';
    this.#columns = columns;
    return 'header';
  }

  #row(text: string, columns: readonly string[]): 'row' | 'blank' | TableDropReason {
    let end = text.indexOf(',');
    if (end < 0) return 'column_count';
    const timeUs = parseTimeUs(text.slice(0, end).trim(), this.#timeColumn as TimeColumn);
    if (timeUs === undefined) return 'bad_time';
    const stage = this.#stage;
    stage.begin();
    let values = 0;
    for (const column of columns) {
      if (end >= text.length) return 'column_count';
      const start = end + 1;
      const comma = text.indexOf(',', start);
      end = comma < 0 ? text.length : comma;
      const cell = text.slice(start, end).trim();
      if (cell === '') continue;
      const reason = stage.token(column, cell);
      if (reason !== undefined) return reason;
      values += 1;
    }
    if (end < text.length) return 'column_count';
    this.timeUs = timeUs;
    return values === 0 ? 'blank' : 'row';
  }
}
