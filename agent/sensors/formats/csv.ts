import type { LineDropReason } from './line-drop.js';
import type { LineFormat } from './line-format.js';
import type { LineStage } from './line-stage.js';
import { isFieldName, tokenKind } from './strict-text.js';

export interface CsvOptions {
  /** One character. */
  separator: string;
  /** The columns in order; undefined where the device sends them as a line of their own. */
  columns?: readonly string[] | undefined;
}

/**
 * Comma separated values as sensors print them: no quotes, blanks around a cell are ignored, and each line has exactly as
 * many cells as there are columns.
 *
 * Without configured columns a line that consists of names alone is the header, whenever it comes: a device that was reset
 * sends it again, and a line of states alone can therefore not be read in this mode. Lines before the first header are
 * dropped.
 */
export class CsvFormat implements LineFormat {
  readonly #separator: string;
  readonly #fromDevice: boolean;
  #columns: readonly string[] | undefined;

  constructor({ separator, columns }: CsvOptions) {
    this.#separator = separator;
    this.#fromDevice = columns === undefined;
    this.#columns = columns;
  }

  parse(text: string, stage: LineStage): LineDropReason | 'header' | undefined {
    if (this.#fromDevice && !/[\d"]/.test(text[0] ?? '')) {
      const names = headerNames(text.split(this.#separator));
      if (typeof names === 'string') return names;
      if (names !== undefined) {
        this.#columns = names;
        return 'header';
      }
    }
    const columns = this.#columns;
    if (columns === undefined) return 'no_header';
    return this.#cells(text, columns, stage);
  }

  #cells(text: string, columns: readonly string[], stage: LineStage): LineDropReason | undefined {
    if (cellCount(text, this.#separator) !== columns.length) return 'column_count';
    let start = 0;
    for (const column of columns) {
      const separatorAt = text.indexOf(this.#separator, start);
      const end = separatorAt < 0 ? text.length : separatorAt;
      const reason = stage.token(column, text.slice(start, end).trim());
      if (reason !== undefined) return reason;
      start = end + 1;
    }
    return undefined;
  }
}

/** The names of a header line; undefined when it is none, a reason when it is one that cannot be used. */
function headerNames(cells: readonly string[]): string[] | LineDropReason | undefined {
  const names = cells.map((cell) => cell.trim());
  if (!names.every((name) => isFieldName(name) && tokenKind(name) === 'word')) return undefined;
  return new Set(names).size === names.length ? names : 'duplicate_field';
}

function cellCount(text: string, separator: string): number {
  let count = 1;
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + 1)) count += 1;
  return count;
}
