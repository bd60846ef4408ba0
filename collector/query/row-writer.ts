import { once } from 'node:events';
import type { Writable } from 'node:stream';

export const FORMATS = ['table', 'csv', 'json'] as const;
export type Format = (typeof FORMATS)[number];

export type Cell = string | number | boolean | Readonly<Record<string, string>>;
export type Row = Readonly<Record<string, Cell>>;

/** Rows that a table looks at before it fixes the width of its columns. */
const WIDTH_ROWS = 1000;

/**
 * Writes rows as an aligned table, as CSV (RFC 4180), or as JSON, one object a line. It waits for whoever reads, so a long
 * answer does not gather in memory.
 */
export class RowWriter {
  readonly #out: Writable;
  readonly #format: Format;
  readonly #columns: readonly string[];
  #first: string[][] | undefined = [];
  #widths: number[];

  constructor(out: Writable, format: Format, columns: readonly string[]) {
    this.#out = out;
    this.#format = format;
    this.#columns = columns;
    this.#widths = columns.map((column) => column.length);
  }

  async write(rows: readonly Row[]): Promise<void> {
    let text = '';
    for (const row of rows) {
      if (this.#format === 'json') text += `${JSON.stringify(row, jsonValue)}\n`;
      else text += this.#line(this.#columns.map((column) => cellText(row[column] ?? '')));
    }
    await this.#put(text);
  }

  /** Writes what is held back. To be called once, at the end. */
  async end(): Promise<void> {
    if (this.#format !== 'json') await this.#put(this.#heading());
  }

  #line(cells: string[]): string {
    if (this.#format === 'csv') return this.#heading() + csvLine(cells);
    if (this.#first === undefined) return this.#tableLine(cells);
    this.#first.push(cells);
    for (const [index, cell] of cells.entries()) this.#widths[index] = Math.max(this.#widths[index]!, cell.length);
    return this.#first.length < WIDTH_ROWS ? '' : this.#heading();
  }

  /** The heading and the rows held back, at its first call. */
  #heading(): string {
    const held = this.#first;
    if (held === undefined) return '';
    this.#first = undefined;
    if (this.#format === 'csv') return csvLine(this.#columns);
    return [this.#columns, ...held].map((cells) => this.#tableLine(cells)).join('');
  }

  #tableLine(cells: readonly string[]): string {
    return `${cells
      .map((cell, index) => cell.padEnd(this.#widths[index]!))
      .join('  ')
      .trimEnd()}\n`;
  }

  async #put(text: string): Promise<void> {
    if (text !== '' && !this.#out.write(text)) await once(this.#out, 'drain');
  }
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\r\n`;
}

function cellText(cell: Cell): string {
  if (typeof cell === 'number') return Object.is(cell, -0) ? '-0' : String(cell);
  if (typeof cell !== 'object') return String(cell);
  const pairs = Object.entries(cell);
  return pairs.map(([key, value]) => `${key}=${value}`).join(' ');
}

/** JSON has no NaN, no infinities and no minus zero; they are written as text. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? cellText(value) : value;
}
