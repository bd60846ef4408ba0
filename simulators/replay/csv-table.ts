import { readFileSync } from 'node:fs';
import type { Batch, Column } from '@tributary/proto/batch/batch';

/** A table of recorded readings: one row an instant, NaN-free cells as the file prints them, null where a cell is empty. */
export interface CsvTable {
  columns: string[];
  /** Microseconds since the Unix epoch, or whatever line the file is on. */
  timesUs: Float64Array;
  /** One array per column; what is absent is told by `present`, as any double may be a value. */
  values: Float64Array[];
  present: Uint8Array[];
  rows: number;
  /** Non-empty cells. */
  readings: number;
}

/** Reads `time_us,<column>...`. Throws with the line's number when a row has another number of cells or no time. */
export function readCsvTable(file: string): CsvTable {
  const lines = readFileSync(file, 'utf8').split('\n');
  while (lines.length > 0 && lines[lines.length - 1] === '') lines.pop();
  const [head, ...columns] = (lines[0] ?? '').split(',');
  if (head !== 'time_us' || columns.length === 0) throw new Error(`${file}:1: the header must be time_us,<column>,...`);
  const rows = lines.length - 1;
  const timesUs = new Float64Array(rows);
  const values = columns.map(() => new Float64Array(rows));
  const present = columns.map(() => new Uint8Array(rows));
  let readings = 0;
  for (let row = 0; row < rows; row++) {
    const cells = lines[row + 1]!.split(',');
    timesUs[row] = Number(cells[0]);
    if (cells.length !== columns.length + 1 || !Number.isSafeInteger(timesUs[row])) {
      throw new Error(`${file}:${row + 2}: ${columns.length + 1} cells expected, the first of them whole microseconds`);
    }
    for (let column = 0; column < columns.length; column++) {
      const cell = cells[column + 1]!;
      if (cell === '') continue;
      values[column]![row] = Number(cell);
      present[column]![row] = 1;
      readings++;
    }
  }
  return { columns, timesUs, values, present, rows, readings };
}

/** Rows `from` to `until` (not included) of a table as one batch; series ids count up from `firstSeriesId` by column. */
export function tableBatch(table: CsvTable, from: number, until: number, firstSeriesId = 1, segment = 0): Batch {
  const rows = until - from;
  const baseTime = table.timesUs[from]!;
  const times = new Float64Array(rows);
  for (let row = 0; row < rows; row++) times[row] = table.timesUs[from + row]! - baseTime;
  const columns: Column[] = [];
  let readings = 0;
  for (let c = 0; c < table.columns.length; c++) {
    const bitmap = new Uint8Array((rows + 7) >> 3);
    const values = new Float64Array(rows);
    let count = 0;
    for (let row = 0; row < rows; row++) {
      if (table.present[c]![from + row] === 0) continue;
      bitmap[row >> 3]! |= 1 << (row & 7);
      values[count++] = table.values[c]![from + row]!;
    }
    if (count === 0) continue;
    readings += count;
    const presence = count === rows ? null : bitmap;
    columns.push({ seriesId: firstSeriesId + c, type: 'double', presence, count, values, strings: [] });
  }
  return { segment, unitExponent: 6, baseTime: BigInt(baseTime), groups: [{ rows, times, columns }], readings };
}

/** What is compared with a table: the readings of one series, in order of time. */
export interface SeriesReadings {
  timesUs: number[];
  values: number[];
}

/** The first difference between a table and what was read back, or undefined when they are equal bit for bit. */
export function firstDifference(table: CsvTable, read: ReadonlyMap<string, SeriesReadings>): string | undefined {
  for (let c = 0; c < table.columns.length; c++) {
    const name = table.columns[c]!;
    const order = [...table.timesUs.keys()].filter((row) => table.present[c]![row] === 1);
    order.sort((a, b) => table.timesUs[a]! - table.timesUs[b]! || a - b);
    const series = read.get(name) ?? { timesUs: [], values: [] };
    if (series.values.length !== order.length) {
      return `${name}: ${series.values.length} readings instead of ${order.length}`;
    }
    for (let i = 0; i < order.length; i++) {
      const row = order[i]!;
      if (series.timesUs[i] !== table.timesUs[row] || !Object.is(series.values[i], table.values[c]![row])) {
        return `${name}, reading ${i}: ${series.timesUs[i]} ${series.values[i]} instead of ${table.timesUs[row]} ${table.values[c]![row]}`;
      }
    }
  }
  return undefined;
}
