import { BatchError } from './batch-error.js';
import { TIME_FORM_BITS, TIME_ZEROS_BITS, TIME_ZEROS_MAX, TimeForm } from './batch-layout.js';
import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';
import { POWERS_OF_TEN } from './double-code.js';
import { INTEGER_MAX } from './integer-code.js';
import { readIntegers } from './integer-decode.js';
import { IntegerPlan, planIntegers, writeIntegers } from './integer-encode.js';
import { countsBits, readCounts, writeCounts } from './run-lengths.js';

const plan = new IntegerPlan();
const headPlan = new IntegerPlan();
let scaled = new Float64Array(1024);
let heads = new Float64Array(1024);
let counts = new Int32Array(1024);

function reserve(rows: number): void {
  if (scaled.length >= rows) return;
  scaled = new Float64Array(rows * 2);
  heads = new Float64Array(rows * 2);
  counts = new Int32Array(rows * 2);
}

/** Writes the instants of a group. Throws BatchError for one that is no integer of at most 2^53 - 1. */
export function writeTimes(writer: BitWriter, times: Float64Array, rows: number): void {
  if (rows === 0) return;
  reserve(rows);
  let magnitude = 0;
  for (let i = 0; i < rows; i++) {
    const time = times[i]!;
    const size = Math.abs(time);
    // Not a number fails both comparisons.
    if (Math.floor(time) !== time || !(size <= Number.MAX_SAFE_INTEGER)) throw new BatchError('invalid', 'times');
    if (size > magnitude) magnitude = size;
  }
  if (magnitude >= INTEGER_MAX) {
    writer.reserve(64 + rows * 64);
    writer.bits(TimeForm.raw, TIME_FORM_BITS);
    for (let i = 0; i < rows; i++) writer.signed(times[i]!);
    return;
  }
  const zeros = magnitude === 0 ? 0 : commonZeros(times, rows);
  const power = POWERS_OF_TEN[zeros]!;
  if (zeros === 0) for (let i = 0; i < rows; i++) scaled[i] = times[i]!;
  else for (let i = 0; i < rows; i++) scaled[i] = times[i]! / power;
  planIntegers(scaled, rows, plan);
  const runs = plan.bits > 64 && rows > 2 ? differenceRuns(rows) : 0;
  writer.reserve(256);
  if (runs > 0) {
    planIntegers(heads, runs, headPlan);
    if (headPlan.bits + countsBits(rows - 1 - runs, runs - 1) + 12 + 40 < plan.bits) {
      writer.bits(TimeForm.differenceRuns, TIME_FORM_BITS);
      writer.bits(zeros, TIME_ZEROS_BITS);
      writer.signed(scaled[0]!);
      writer.unsigned(runs);
      writeCounts(writer, counts, runs - 1);
      writeIntegers(writer, heads, runs, headPlan);
      return;
    }
  }
  writer.bits(TimeForm.integers, TIME_FORM_BITS);
  writer.bits(zeros, TIME_ZEROS_BITS);
  writeIntegers(writer, scaled, rows, plan);
}

/** The number of decimal zeros that all instants end in. */
function commonZeros(times: Float64Array, rows: number): number {
  let zeros = TIME_ZEROS_MAX;
  for (let i = 0; i < rows && zeros > 0; i++) {
    const time = times[i]!;
    while (zeros > 0 && Math.round(time / POWERS_OF_TEN[zeros]!) * POWERS_OF_TEN[zeros]! !== time) zeros--;
  }
  return zeros;
}

/** Collects the runs of equal differences of `scaled` in `heads` and `counts`; 0 where there are too many to pay. */
function differenceRuns(rows: number): number {
  const most = (rows * 3) >> 2;
  let length = 0;
  let start = 1;
  for (let i = 2; i <= rows; i++) {
    const difference = scaled[start]! - scaled[start - 1]!;
    if (i === rows || scaled[i]! - scaled[i - 1]! !== difference) {
      if (length === most) return 0;
      heads[length] = difference;
      counts[length++] = i - start - 1;
      start = i;
    }
  }
  return length;
}

/** Reads the instants of a group. Throws BatchError only. */
export function readTimes(reader: BitReader, out: Float64Array, rows: number): void {
  if (rows === 0) return;
  const form = reader.bits(TIME_FORM_BITS);
  if (form === TimeForm.raw) {
    for (let i = 0; i < rows; i++) out[i] = reader.signed();
    return;
  }
  const power = POWERS_OF_TEN[reader.bits(TIME_ZEROS_BITS)]!;
  if (form === TimeForm.integers) {
    readIntegers(reader, out, rows, 1);
  } else if (form === TimeForm.differenceRuns) {
    readDifferenceRuns(reader, out, rows);
  } else {
    throw new BatchError('malformed', 'times');
  }
  for (let i = 0; i < rows; i++) {
    const time = out[i]! * power;
    if (!(time <= Number.MAX_SAFE_INTEGER && time >= -Number.MAX_SAFE_INTEGER))
      throw new BatchError('malformed', 'times');
    // Zero has no sign here: `+ 0` turns the -0 of a negative sum into 0.
    out[i] = time + 0;
  }
}

function readDifferenceRuns(reader: BitReader, out: Float64Array, rows: number): void {
  reserve(rows);
  let time = reader.signed();
  const runs = reader.unsigned();
  if (runs < 1 || runs > rows - 1) throw new BatchError('malformed', 'times');
  const sum = readCounts(reader, counts, runs - 1, rows - 1 - runs);
  counts[runs - 1] = rows - 1 - runs - sum;
  readIntegers(reader, heads, runs, 1);
  out[0] = time;
  let row = 1;
  for (let run = 0; run < runs; run++) {
    const difference = heads[run]!;
    for (let length = counts[run]!; length >= 0; length--) {
      time += difference;
      out[row++] = time;
    }
  }
}
