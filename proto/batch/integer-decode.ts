import { BatchError } from './batch-error.js';
import type { BitReader } from './bit-reader.js';
import {
  afterEscape,
  CHECK_STRIDE,
  ESCAPE_MASK,
  ESCAPE_QUOTIENT,
  PREDICTOR_BITS,
  Predictor,
  SCALE_ALL_ZERO,
  SCALE_BITS,
  SCALE_MAX,
  SCALE_RICE_MAX,
  SCALE_RICE_WIDE,
  SHARES,
} from './integer-code.js';

/**
 * Reads `count` integers of an integer column into `out`, each divided by `divisor`: the quotient hides behind the
 * bit reader's chain of dependent steps and costs nothing there. Throws BatchError only.
 */
export function readIntegers(reader: BitReader, out: Float64Array, count: number, divisor: number): void {
  if (count === 0) return;
  const first = reader.signed();
  out[0] = first / divisor;
  if (count === 1) return;
  const predictor = reader.bits(PREDICTOR_BITS);
  const scale = reader.bits(SCALE_BITS);
  const slope = predictor === Predictor.slope ? reader.signed() : 0;
  if (predictor > Predictor.slope) throw new BatchError('malformed', 'predictor');
  if (scale === SCALE_ALL_ZERO) extrapolate(out, count, first, slope, divisor);
  else if (scale > SCALE_MAX) throw new BatchError('malformed', 'scale');
  else if (scale > SCALE_RICE_MAX) readWide(reader, out, count, divisor, predictor, scale, first, slope);
  else readRice(reader, out, count, divisor, predictor, scale, first, slope);
}

function extrapolate(out: Float64Array, count: number, first: number, slope: number, divisor: number): void {
  if (slope === 0) {
    out.fill(first / divisor, 0, count);
    return;
  }
  let value = first;
  for (let i = 0; i < count; i++) {
    out[i] = value / divisor;
    value += slope;
  }
}

function readRice(
  reader: BitReader,
  out: Float64Array,
  count: number,
  divisor: number,
  predictor: number,
  scale: number,
  first: number,
  slope: number,
): void {
  const words = reader.words;
  const end = reader.end;
  const share = SHARES[predictor]!;
  const level = predictor === Predictor.level;
  let position = reader.position;
  let mean = 12 << scale;
  let value = first;
  let difference = 0;
  for (let i = level ? 0 : 1; i < count; ) {
    if (position > end) throw new BatchError('malformed', 'truncated');
    const stop = Math.min(i + CHECK_STRIDE, count);
    for (; i < stop; i++) {
      const shift = position & 31;
      const window = (words[position >>> 5]! >>> shift) | ((words[(position >>> 5) + 1]! << 1) << (31 - shift));
      let residual: number;
      if ((window & ESCAPE_MASK) !== 0) {
        const quotient = 31 - Math.clz32(window & -window);
        const k = 31 - Math.clz32((mean >>> 3) | 1);
        let low = window >>> (quotient + 1);
        position = (position + quotient + 1) | 0;
        if (quotient + k > 31) {
          low =
            (words[position >>> 5]! >>> (position & 31)) |
            ((words[(position >>> 5) + 1]! << 1) << (31 - (position & 31)));
        }
        position = (position + k) | 0;
        const code = (quotient << k) | (low & ((1 << k) - 1));
        residual = (code >>> 1) ^ -(code & 1);
        mean = (mean + code - (mean >>> 3)) | 0;
      } else {
        reader.position = position + ESCAPE_QUOTIENT;
        residual = reader.signed();
        position = reader.position;
        mean = afterEscape(mean);
      }
      if (level) value = first;
      difference = residual + slope + Math.floor(difference * share);
      value += difference;
      out[i] = value / divisor;
    }
  }
  reader.position = position;
  reader.check();
}

/** As readRice, with low bits that are noise stored verbatim behind each Rice code. */
function readWide(
  reader: BitReader,
  out: Float64Array,
  count: number,
  divisor: number,
  predictor: number,
  scale: number,
  first: number,
  slope: number,
): void {
  const lowBits = scale - SCALE_RICE_WIDE;
  const lowRange = 2 ** lowBits;
  const lowMask = lowBits === 32 ? -1 : (1 << lowBits) - 1;
  const words = reader.words;
  const end = reader.end;
  const share = SHARES[predictor]!;
  const level = predictor === Predictor.level;
  let position = reader.position;
  let mean = 12 << SCALE_RICE_WIDE;
  let value = first;
  let difference = 0;
  for (let i = level ? 0 : 1; i < count; ) {
    if (position > end) throw new BatchError('malformed', 'truncated');
    const stop = Math.min(i + CHECK_STRIDE, count);
    for (; i < stop; i++) {
      let shift = position & 31;
      const window = (words[position >>> 5]! >>> shift) | ((words[(position >>> 5) + 1]! << 1) << (31 - shift));
      let residual: number;
      if ((window & ESCAPE_MASK) !== 0) {
        const quotient = 31 - Math.clz32(window & -window);
        const k = 31 - Math.clz32((mean >>> 3) | 1);
        position = (position + quotient + 1) | 0;
        shift = position & 31;
        let low = (words[position >>> 5]! >>> shift) | ((words[(position >>> 5) + 1]! << 1) << (31 - shift));
        const high = ((quotient << k) | (low & ((1 << k) - 1))) >>> 0;
        position = (position + k) | 0;
        shift = position & 31;
        low = (words[position >>> 5]! >>> shift) | ((words[(position >>> 5) + 1]! << 1) << (31 - shift));
        position = (position + lowBits) | 0;
        const code = high * lowRange + ((low & lowMask) >>> 0);
        residual = (low & 1) === 0 ? code * 0.5 : (code + 1) * -0.5;
        mean = (mean + high - (mean >>> 3)) | 0;
      } else {
        reader.position = position + ESCAPE_QUOTIENT;
        residual = reader.signed();
        position = reader.position;
        mean = afterEscape(mean);
      }
      if (level) value = first;
      difference = residual + slope + Math.floor(difference * share);
      value += difference;
      out[i] = value / divisor;
    }
  }
  reader.position = position;
  reader.check();
}
