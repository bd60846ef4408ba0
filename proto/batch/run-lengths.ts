import { BatchError } from './batch-error.js';
import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';
import { afterEscape, ESCAPE_MASK, ESCAPE_QUOTIENT } from './integer-code.js';
import { log2 } from './log2.js';

/** Bits of the start parameter of a list of counts. */
const START_BITS = 5;
const START_MAX = 24;

/** Writes counts from 0 to 2^27 as adaptive Rice codes: run lengths, gaps between exceptions. */
export function writeCounts(writer: BitWriter, counts: Int32Array, length: number): void {
  if (length === 0) return;
  writer.reserve(64 + length * 64);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += counts[i]!;
  const start = Math.min(START_MAX, Math.floor(log2(Math.max(1, sum / length))));
  writer.bits(start, START_BITS);
  let mean = 12 << start;
  for (let i = 0; i < length; i++) {
    const count = counts[i]!;
    const k = 31 - Math.clz32((mean >>> 3) | 1);
    const quotient = count >>> k;
    if (quotient < ESCAPE_QUOTIENT) {
      writer.bits(1 << quotient, quotient + 1);
      writer.bits(count & ((1 << k) - 1), k);
      mean = (mean + count - (mean >>> 3)) | 0;
    } else {
      writer.bits(0, ESCAPE_QUOTIENT);
      writer.unsigned(count);
      mean = afterEscape(mean);
    }
  }
}

/** What writeCounts is expected to take, in bits. */
export function countsBits(sum: number, length: number): number {
  const mean = sum / Math.max(1, length);
  return START_BITS + length * (mean < 1 ? 1 + mean : 1.6 + log2(mean));
}

/** Reads what writeCounts wrote; `total` bounds their sum. Returns the sum. */
export function readCounts(reader: BitReader, counts: Int32Array, length: number, total: number): number {
  if (length === 0) return 0;
  const start = reader.bits(START_BITS);
  if (start > START_MAX) throw new BatchError('malformed', 'counts');
  const words = reader.words;
  let mean = 12 << start;
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const index = reader.position >>> 5;
    const shift = reader.position & 31;
    const window = (words[index]! >>> shift) | ((words[index + 1]! << 1) << (31 - shift));
    let count: number;
    if ((window & ESCAPE_MASK) === 0) {
      reader.bits(ESCAPE_QUOTIENT);
      count = reader.unsigned();
      mean = afterEscape(mean);
    } else {
      const quotient = 31 - Math.clz32(window & -window);
      const k = 31 - Math.clz32((mean >>> 3) | 1);
      reader.bits(quotient + 1);
      count = ((quotient << k) | reader.bits(k)) >>> 0;
      mean = (mean + count - (mean >>> 3)) | 0;
    }
    sum += count;
    if (sum > total) throw new BatchError('malformed', 'counts');
    counts[i] = count;
  }
  return sum;
}
