import type { Batch, Column } from './batch.js';

/**
 * Where two batches differ, as a path, or null where they are the same: values bit for bit, NaN payloads included.
 * Bits of a presence bitmap beyond the rows, and elements of `values` beyond `count`, have no meaning.
 */
export function differenceOf(a: Batch, b: Batch): string | null {
  if (a.segment !== b.segment) return 'segment';
  if (a.unitExponent !== b.unitExponent) return 'unitExponent';
  if (a.baseTime !== b.baseTime) return 'baseTime';
  if (a.readings !== b.readings) return 'readings';
  if (a.groups.length !== b.groups.length) return 'groups';
  for (let g = 0; g < a.groups.length; g++) {
    const left = a.groups[g]!;
    const right = b.groups[g]!;
    if (left.rows !== right.rows || left.columns.length !== right.columns.length) return `groups.${g}`;
    for (let row = 0; row < left.rows; row++)
      if (left.times[row] !== right.times[row]) return `groups.${g}.times.${row}`;
    for (let c = 0; c < left.columns.length; c++) {
      const field = differenceOfColumns(left.columns[c]!, right.columns[c]!, left.rows);
      if (field !== null) return `groups.${g}.columns.${c}.${field}`;
    }
  }
  return null;
}

function differenceOfColumns(a: Column, b: Column, rows: number): string | null {
  if (a.seriesId !== b.seriesId) return 'seriesId';
  if (a.type !== b.type) return 'type';
  if (a.count !== b.count) return 'count';
  if ((a.presence === null) !== (b.presence === null)) return 'presence';
  for (let row = 0; row < rows && a.presence !== null; row++) {
    if (((a.presence[row >>> 3]! ^ b.presence![row >>> 3]!) >>> (row & 7)) & 1) return `presence.${row}`;
  }
  if (a.strings.length !== b.strings.length || a.strings.some((text, i) => text !== b.strings[i])) return 'strings';
  const left = new Uint32Array(a.values.buffer, a.values.byteOffset, a.count * 2);
  const right = new Uint32Array(b.values.buffer, b.values.byteOffset, b.count * 2);
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return `values.${i >>> 1}`;
  return null;
}
