import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DecodeArena } from './arena.js';
import type { Batch, Column } from './batch.js';
import { decodeBatch } from './decode.js';
import { encodeBatch } from './encode.js';
import { differenceOf } from './same-batch.js';

const folder = process.env.TRIBUTARY_DATA ?? join(import.meta.dirname, '../../../../shared/data');
const tables = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.csv')) : [];

interface Table {
  times: number[];
  columns: (number | undefined)[][];
}

function load(name: string): Table {
  const [header, ...lines] = readFileSync(join(folder, name), 'utf8').trim().split('\n');
  const width = header!.split(',').length - 1;
  const table: Table = { times: [], columns: Array.from({ length: width }, () => []) };
  for (const line of lines) {
    const cells = line.split(',').map((cell) => cell.trim());
    table.times.push(Number(cells[0]));
    for (let i = 0; i < width; i++) {
      const cell = cells[i + 1] ?? '';
      table.columns[i]!.push(cell === '' ? undefined : Number(cell));
    }
  }
  return table;
}

function batchOf(table: Table, start: number, end: number): Batch {
  const rows = end - start;
  const base = table.times[start]!;
  const columns = table.columns.map((cells, i): Column => {
    const slice = cells.slice(start, end);
    const values = Float64Array.from(slice.filter((cell) => cell !== undefined));
    const presence = values.length === rows ? null : new Uint8Array((rows + 7) >>> 3);
    slice.forEach((cell, row) => {
      if (presence !== null && cell !== undefined) presence[row >>> 3]! |= 1 << (row & 7);
    });
    return { seriesId: i + 1, type: 'double', presence, count: values.length, values, strings: [] };
  });
  const times = Float64Array.from(table.times.slice(start, end), (time) => time - base);
  const readings = columns.reduce((sum, column) => sum + column.count, 0);
  return { segment: 0, unitExponent: 6, baseTime: BigInt(base), groups: [{ rows, times, columns }], readings };
}

/** Encodes a table in batches of so many rows, checks each, and returns bytes a reading. */
function bytesPerReading(table: Table, rows: number): number {
  const arena = new DecodeArena();
  let bytes = 0;
  let readings = 0;
  for (let start = 0; start < table.times.length; start += rows) {
    const original = batchOf(table, start, Math.min(start + rows, table.times.length));
    const encoded = encodeBatch(original);
    arena.reset();
    expect(differenceOf(original, decodeBatch(encoded, arena))).toBeNull();
    bytes += encoded.length;
    readings += original.readings;
  }
  return bytes / readings;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

// The recordings are not part of the repository; TRIBUTARY_DATA names the folder that holds them.
describe.skipIf(tables.length === 0)('recorded tables come back bit for bit', () => {
  const small: number[] = [];
  const large: number[] = [];

  it.each(tables)('%s', (name) => {
    const table = load(name);
    small.push(bytesPerReading(table, 10));
    large.push(bytesPerReading(table, 300));
    bytesPerReading(table, 5000);
  });

  it('and take no more bytes than FORMAT.md says', () => {
    expect(median(large)).toBeLessThan(1.1);
    expect(median(small)).toBeLessThan(1.75);
  });
});
