import { BatchError } from './batch-error.js';
import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';
import { countsBits, readCounts, writeCounts } from './run-lengths.js';

/** Scratch memory, shared by both sides: neither is re-entrant. */
let counts = new Int32Array(256);

function takeRuns(values: Float64Array, count: number): number {
  if (counts.length < count) counts = new Int32Array(count * 2);
  let length = 0;
  let start = 0;
  for (let i = 1; i <= count; i++) {
    if (i === count || values[i] !== values[start]) {
      counts[length++] = i - start - 1;
      start = i;
    }
  }
  return length;
}

/**
 * Writes values from 0 to 2^width - 1: as runs, or each with `width` bits, whichever is smaller. Where width is 1
 * a run is always the other value than the run before, so the first one alone is written.
 */
export function writeStates(writer: BitWriter, values: Float64Array, count: number, width: number): void {
  if (count === 0 || width === 0) return;
  writer.reserve(128 + count * (32 + width));
  const runs = takeRuns(values, count);
  const headBits = width === 1 ? 1 : runs * width;
  const asRuns = headBits + countsBits(count - runs, runs - 1) + 12 < count * width;
  writer.bits(asRuns ? 1 : 0, 1);
  if (!asRuns) {
    for (let i = 0; i < count; i++) writer.bits(values[i]!, width);
    return;
  }
  writer.unsigned(runs);
  let at = 0;
  for (let run = 0; run < runs; run++) {
    if (run === 0 || width > 1) writer.bits(values[at]!, width);
    at += counts[run]! + 1;
  }
  writeCounts(writer, counts, runs - 1);
}

/** Reads what writeStates wrote. */
export function readStates(reader: BitReader, out: Float64Array, count: number, width: number): void {
  if (count === 0) return;
  if (width === 0) {
    out.fill(0, 0, count);
    return;
  }
  if (reader.bits(1) === 0) {
    for (let i = 0; i < count; i++) out[i] = reader.bits(width);
    return;
  }
  const runs = reader.unsigned();
  if (runs < 1 || runs > count) throw new BatchError('malformed', 'runs');
  if (counts.length < runs) counts = new Int32Array(runs * 2);
  for (let run = 0; run < runs; run++) {
    out[run] = run === 0 || width > 1 ? reader.bits(width) : 1 - out[run - 1]!;
  }
  const sum = readCounts(reader, counts, runs - 1, count - runs);
  counts[runs - 1] = count - runs - sum;
  let to = count;
  for (let run = runs - 1; run >= 0; run--) {
    const value = out[run]!;
    for (let length = counts[run]!; length >= 0; length--) out[--to] = value;
  }
}
