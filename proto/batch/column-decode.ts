import type { ArenaBlock } from './arena.js';
import { BatchError } from './batch-error.js';
import type { BitReader } from './bit-reader.js';
import { correctFraction } from './corrections.js';
import { decimalOfOrder } from './decimal-order.js';
import {
  DIGITS_BITS,
  DIGITS_MAX,
  DIVISOR_MAX,
  DoubleForm,
  EXPONENT_BITS,
  EXPONENT_MAX,
  FORM_BITS,
  LOW_BITS_BITS,
  POWERS_OF_TEN,
  REFINEMENT_MAX,
  roundToDigits,
  WIDTH_BITS,
} from './double-code.js';
import { readIntegers } from './integer-decode.js';
import { readCounts } from './run-lengths.js';

/** Scratch memory of the decoder: run lengths and positions of exceptions. */
let counts = new Int32Array(1024);

/** Reads the values of a double column into `block`. Throws BatchError only. */
export function readDoubles(reader: BitReader, block: ArenaBlock, count: number): void {
  if (count === 0) return;
  const form = reader.bits(FORM_BITS);
  const heads = reader.bits(1) === 1 ? readRuns(reader, count) : count;
  if (form === DoubleForm.decimal || form === DoubleForm.decimalCorrected) {
    readDecimal(reader, block.doubles, heads);
  } else if (form === DoubleForm.stepped) {
    readStepped(reader, block.doubles, heads);
  } else if (form === DoubleForm.significant) {
    readSignificant(reader, block.doubles, heads);
  } else if (form === DoubleForm.fraction) {
    readFraction(reader, block, heads, count);
    return;
  } else if (form === DoubleForm.bits) {
    readBits(reader, block, heads);
  } else if (form === DoubleForm.raw) {
    for (let i = 0; i < heads * 2; i++) block.words[i] = reader.bits(32);
  } else {
    throw new BatchError('malformed', 'form');
  }
  if (heads < count) expandRuns(block.words, heads, count);
  if (form === DoubleForm.decimalCorrected || form === DoubleForm.significant)
    readUlpCorrections(reader, block.words, count);
}

function readDecimal(reader: BitReader, out: Float64Array, count: number): void {
  const exponent = reader.bits(EXPONENT_BITS);
  if (exponent > EXPONENT_MAX) throw new BatchError('malformed', 'exponent');
  readIntegers(reader, out, count, POWERS_OF_TEN[exponent]!);
}

function readStepped(reader: BitReader, out: Float64Array, count: number): void {
  const exponent = reader.bits(EXPONENT_BITS);
  if (exponent > EXPONENT_MAX) throw new BatchError('malformed', 'exponent');
  const power = POWERS_OF_TEN[exponent]!;
  const offset = reader.signed();
  const step = reader.unsigned();
  readIntegers(reader, out, count, 1);
  for (let i = 0; i < count; i++) out[i] = (offset + step * out[i]!) / power;
}

function readSignificant(reader: BitReader, out: Float64Array, count: number): void {
  const exponent = reader.bits(EXPONENT_BITS);
  const digits = reader.bits(DIGITS_BITS);
  if (exponent > EXPONENT_MAX || digits < 1 || digits > DIGITS_MAX) throw new BatchError('malformed', 'digits');
  readIntegers(reader, out, count, 1);
  for (let i = 0; i < count; i++) out[i] = decimalOfOrder(out[i]!, digits, exponent);
}

function readFraction(reader: BitReader, block: ArenaBlock, heads: number, count: number): void {
  const divisor = reader.unsigned();
  const refinement = reader.unsigned();
  const digits = reader.bits(DIGITS_BITS);
  if (divisor < 1 || divisor > DIVISOR_MAX || refinement > REFINEMENT_MAX || digits > DIGITS_MAX) {
    throw new BatchError('malformed', 'fraction');
  }
  const { doubles, words } = block;
  readIntegers(reader, doubles, heads, 1);
  if (heads < count) expandRuns(words, heads, count);
  const exceptions = readPositions(reader, count);
  if (exceptions === 0) {
    for (let i = 0; i < count; i++) doubles[i] = roundToDigits(doubles[i]! / divisor, digits);
    return;
  }
  const width = reader.bits(WIDTH_BITS);
  let at = 0;
  for (let i = 0; i < exceptions; i++) {
    const position = counts[i]!;
    for (; at < position; at++) doubles[at] = roundToDigits(doubles[at]! / divisor, digits);
    at++;
    const code = reader.bits(width);
    if (code === 0) {
      words[position * 2] = reader.bits(32);
      words[position * 2 + 1] = reader.bits(32);
    } else {
      const correction = (code >>> 1) ^ -(code & 1);
      doubles[position] = correctFraction(doubles[position]!, divisor, refinement, digits, correction);
    }
  }
  for (; at < count; at++) doubles[at] = roundToDigits(doubles[at]! / divisor, digits);
}

function readBits(reader: BitReader, block: ArenaBlock, count: number): void {
  const lowBits = reader.bits(LOW_BITS_BITS);
  if (lowBits > 32) throw new BatchError('malformed', 'low bits');
  const { doubles, words } = block;
  readIntegers(reader, doubles, count, 1);
  const shift = 32 - lowBits;
  for (let i = 0; i < count; i++) {
    const ordered = doubles[i]! | 0;
    words[i * 2 + 1] = ordered < 0 ? ordered ^ 0x7fff_ffff : ordered;
    words[i * 2] = lowBits === 0 ? 0 : reader.bits(lowBits) << shift;
  }
}

function reserveCounts(length: number): void {
  if (counts.length < length) counts = new Int32Array(length * 2);
}

/** Reads run lengths into `counts` and returns the number of runs. */
function readRuns(reader: BitReader, count: number): number {
  const heads = reader.unsigned();
  if (heads < 1 || heads > count) throw new BatchError('malformed', 'runs');
  reserveCounts(heads);
  const sum = readCounts(reader, counts, heads - 1, count - heads);
  counts[heads - 1] = count - heads - sum;
  return heads;
}

/** Repeats each head as often as its run says, from the back, in place. By words: a NaN keeps its payload. */
function expandRuns(words: Uint32Array, heads: number, count: number): void {
  let to = count * 2;
  for (let head = heads - 1; head >= 0; head--) {
    const low = words[head * 2]!;
    const high = words[head * 2 + 1]!;
    for (let length = counts[head]!; length >= 0; length--) {
      words[--to] = high;
      words[--to] = low;
    }
  }
}

/** Reads the positions of exceptions into `counts` and returns their number. */
function readPositions(reader: BitReader, count: number): number {
  const length = reader.unsigned();
  if (length > count) throw new BatchError('malformed', 'exceptions');
  reserveCounts(length);
  readCounts(reader, counts, length, count - length);
  let position = -1;
  for (let i = 0; i < length; i++) {
    position += counts[i]! + 1;
    counts[i] = position;
  }
  return length;
}

/** Adds units in the last place to the bits of some values, or replaces them. */
function readUlpCorrections(reader: BitReader, words: Uint32Array, count: number): void {
  const length = readPositions(reader, count);
  if (length === 0) return;
  const width = reader.bits(WIDTH_BITS);
  for (let i = 0; i < length; i++) {
    const at = counts[i]! * 2;
    const code = reader.bits(width);
    if (code === 0) {
      words[at] = reader.bits(32);
      words[at + 1] = reader.bits(32);
    } else {
      const low = words[at]! + ((code >>> 1) ^ -(code & 1));
      words[at] = low;
      words[at + 1] = words[at + 1]! + Math.floor(low / 4294967296);
    }
  }
}
