import type { BitWriter } from './bit-writer.js';
import {
  afterEscape,
  ESCAPE_QUOTIENT,
  PREDICTOR_BITS,
  Predictor,
  RESIDUAL_BITS_MAX,
  RICE_LIMIT,
  SCALE_ALL_ZERO,
  SCALE_BITS,
  SCALE_MAX,
  SCALE_RICE_MAX,
  SCALE_RICE_WIDE,
  SHARES,
} from './integer-code.js';
import { bitLength, log2 } from './log2.js';

/** What was measured of a column of integers, and what follows from it. Reused: one lives in the encoder. */
export class IntegerPlan {
  predictor = 0;
  /** The mean for `level`, the slope for `slope`, the first value otherwise. */
  base = 0;
  slope = 0;
  scale = 0;
  /** Estimate of the encoded size. */
  bits = 0;
  /** The sum of the differences' magnitudes. It is the same when equal neighbours are left out. */
  way = 0;
}

/** Long columns are judged by every other block of this many values. */
const BLOCK = 32;

/** Chooses how to encode the first `count` of `values`, by the sum of the residuals' magnitudes. */
export function planIntegers(values: Float64Array, count: number, plan: IntegerPlan): void {
  // What looks constant or straight in the blocks has to be so everywhere to be stored as nothing.
  if (count <= 2 * BLOCK || !planBySample(values, count, 2 * BLOCK, plan)) planBySample(values, count, BLOCK, plan);
}

/** Plans by one block in every `stride` values; false where no residual is left in them. */
function planBySample(values: Float64Array, count: number, stride: number, plan: IntegerPlan): boolean {
  const first = values[0]!;
  plan.predictor = Predictor.last;
  plan.base = first;
  plan.slope = 0;
  plan.scale = SCALE_ALL_ZERO;
  plan.bits = headerBits(first);
  plan.way = 0;
  if (count < 2) return false;
  let sum = 0;
  let last = 0;
  let line = 0;
  let halfLine = 0;
  let mean = 0;
  let sampled = 0;
  for (let start = 1; start < count; start += stride) {
    const end = Math.min(start + BLOCK, count);
    let value = values[start - 1]!;
    let difference = start === 1 ? 0 : value - values[start - 2]!;
    sampled += end - start;
    for (let i = start; i < end; i++) {
      const next = values[i]!;
      const d = next - value;
      const half = difference * 0.5;
      sum += next - first;
      last += Math.abs(d);
      line += Math.abs(d - difference);
      halfLine += Math.abs(d - half);
      mean += Math.abs(d + half);
      difference = d;
      value = next;
    }
  }
  const share = (count - 1) / sampled;
  last *= share;
  line *= share;
  halfLine *= share;
  mean *= share;
  plan.way = last;
  if (last === 0) return false;
  let best = last;
  if (line < best) {
    best = line;
    plan.predictor = Predictor.line;
  }
  if (halfLine < best) {
    best = halfLine;
    plan.predictor = Predictor.halfLine;
  }
  if (mean < best) {
    best = mean;
    plan.predictor = Predictor.mean;
  }
  // A level can win only where the mean of two beats the last value: in noise.
  if (mean < last) {
    const level = Math.round(first + sum / sampled);
    let levelSum = 0;
    for (let i = 0; i < count; i++) levelSum += Math.abs(values[i]! - level);
    if (levelSum < best) {
      best = levelSum;
      plan.predictor = Predictor.level;
      plan.base = level;
    }
  }
  // A slope can win only where the values go somewhere.
  const way = values[count - 1]! - first;
  if (Math.abs(way) * 4 > last) {
    const slope = Math.round(way / (count - 1));
    let slopeSum = 0;
    let value = first;
    for (let i = 1; i < count; i++) {
      const next = values[i]!;
      slopeSum += Math.abs(next - value - slope);
      value = next;
    }
    // A slope costs its own bits; where it is no better than a line, the line needs none.
    if (slopeSum < best && scaleBits(best, count) - scaleBits(slopeSum, count) > headerBits(slope)) {
      best = slopeSum;
      plan.predictor = Predictor.slope;
      plan.slope = slope;
    }
  }
  plan.bits = headerBits(plan.base);
  if (best === 0) return false;
  plan.scale = scaleOf((2 * best) / count);
  plan.bits += scaleBits(best, count);
  return true;
}

/** Writes an integer column as planned. */
export function writeIntegers(writer: BitWriter, values: Float64Array, count: number, plan: IntegerPlan): void {
  if (count === 0) return;
  writer.reserve(256 + count * RESIDUAL_BITS_MAX);
  writer.signed(plan.base);
  if (count === 1) return;
  writer.bits(plan.predictor, PREDICTOR_BITS);
  writer.bits(plan.scale, SCALE_BITS);
  if (plan.predictor === Predictor.slope) writer.signed(plan.slope);
  if (plan.scale === SCALE_ALL_ZERO) return;
  if (plan.scale > SCALE_RICE_MAX) writeWide(writer, values, count, plan);
  else if (plan.predictor === Predictor.last) writeLast(writer, values, count, plan.scale);
  else writeRice(writer, values, count, plan);
}

/** writeRice for the commonest predictor, a third faster. */
function writeLast(writer: BitWriter, values: Float64Array, count: number, scale: number): void {
  const words = writer.words;
  let index = writer.index | 0;
  let word = writer.word | 0;
  let fill = writer.fill | 0;
  let mean = 12 << scale;
  let value = values[0]!;
  for (let i = 1; i < count; i++) {
    const next = values[i]!;
    const residual = next - value;
    value = next;
    const integer = residual | 0;
    const code = (integer << 1) ^ (integer >> 31);
    const k = 31 - Math.clz32((mean >>> 3) | 1);
    const quotient = code >>> k;
    const length = quotient + 1 + k;
    if (integer !== residual || quotient >= ESCAPE_QUOTIENT || code >>> 28 !== 0 || length > 32) {
      writer.index = index;
      writer.word = word;
      writer.fill = fill;
      mean = writeSlowly(writer, residual, mean);
      index = writer.index | 0;
      word = writer.word | 0;
      fill = writer.fill | 0;
      continue;
    }
    const bits = (1 << quotient) | ((code & ((1 << k) - 1)) << (quotient + 1));
    word |= bits << fill;
    const filled = (fill + length) | 0;
    if (filled >= 32) {
      words[index] = word;
      index = (index + 1) | 0;
      // What did not fit; two shifts, because one by 32 would be one by 0.
      word = (bits >>> 1) >>> (31 - fill);
    }
    fill = filled & 31;
    mean = (mean + code - (mean >>> 3)) | 0;
  }
  writer.index = index;
  writer.word = word;
  writer.fill = fill;
}

/** Writes a residual whose code is long or an escape, and returns the running mean after it. */
function writeSlowly(writer: BitWriter, residual: number, mean: number): number {
  const k = 31 - Math.clz32((mean >>> 3) | 1);
  const integer = residual | 0;
  const code = (integer << 1) ^ (integer >> 31);
  if (integer === residual && code >>> k < ESCAPE_QUOTIENT && code >>> 28 === 0) {
    writer.bits(1 << (code >>> k), (code >>> k) + 1);
    writer.bits(code & ((1 << k) - 1), k);
    return (mean + code - (mean >>> 3)) | 0;
  }
  writer.bits(0, ESCAPE_QUOTIENT);
  writer.signed(residual);
  return afterEscape(mean);
}

function writeRice(writer: BitWriter, values: Float64Array, count: number, plan: IntegerPlan): void {
  const words = writer.words;
  const { base, slope, predictor } = plan;
  const level = predictor === Predictor.level;
  const share = SHARES[predictor]!;
  let index = writer.index | 0;
  let word = writer.word | 0;
  let fill = writer.fill | 0;
  let mean = 12 << plan.scale;
  let value = base;
  let difference = 0;
  for (let i = level ? 0 : 1; i < count; i++) {
    const next = values[i]!;
    if (level) value = base;
    const step = next - value;
    const residual = step - slope - Math.floor(difference * share);
    difference = step;
    value = next;
    const integer = residual | 0;
    const code = (integer << 1) ^ (integer >> 31);
    const k = 31 - Math.clz32((mean >>> 3) | 1);
    const quotient = code >>> k;
    const length = quotient + 1 + k;
    if (integer !== residual || quotient >= ESCAPE_QUOTIENT || code >>> 28 !== 0 || length > 32) {
      writer.index = index;
      writer.word = word;
      writer.fill = fill;
      mean = writeSlowly(writer, residual, mean);
      index = writer.index | 0;
      word = writer.word | 0;
      fill = writer.fill | 0;
      continue;
    }
    const bits = (1 << quotient) | ((code & ((1 << k) - 1)) << (quotient + 1));
    word |= bits << fill;
    const filled = (fill + length) | 0;
    if (filled >= 32) {
      words[index] = word;
      index = (index + 1) | 0;
      word = (bits >>> 1) >>> (31 - fill);
    }
    fill = filled & 31;
    mean = (mean + code - (mean >>> 3)) | 0;
  }
  writer.index = index;
  writer.word = word;
  writer.fill = fill;
}

function writeWide(writer: BitWriter, values: Float64Array, count: number, plan: IntegerPlan): void {
  const lowBits = plan.scale - SCALE_RICE_WIDE;
  const lowRange = 2 ** lowBits;
  const { base, slope, predictor } = plan;
  const level = predictor === Predictor.level;
  const share = SHARES[predictor]!;
  let mean = 12 << SCALE_RICE_WIDE;
  let value = base;
  let difference = 0;
  for (let i = level ? 0 : 1; i < count; i++) {
    const next = values[i]!;
    if (level) value = base;
    const step = next - value;
    const residual = step - slope - Math.floor(difference * share);
    difference = step;
    value = next;
    const k = 31 - Math.clz32((mean >>> 3) | 1);
    // Beyond 2^52 the zigzag form would not be exact; such a residual is an escape in any case.
    const code = Math.abs(residual) < 2 ** 51 ? (residual < 0 ? -2 * residual - 1 : 2 * residual) : 2 ** 60;
    const high = Math.floor(code / lowRange);
    if (high < RICE_LIMIT && high >>> k < ESCAPE_QUOTIENT) {
      writer.bits(1 << (high >>> k), (high >>> k) + 1);
      writer.bits(high & ((1 << k) - 1), k);
      writer.bits((code - high * lowRange) >>> 0, lowBits);
      mean = (mean + high - (mean >>> 3)) | 0;
    } else {
      writer.bits(0, ESCAPE_QUOTIENT);
      writer.signed(residual);
      mean = afterEscape(mean);
    }
  }
}

/** The scale whose Rice parameter suits codes of this mean. */
function scaleOf(meanCode: number): number {
  const scale = bitLength(meanCode) - 1;
  return scale < 0 ? 0 : Math.min(scale, SCALE_MAX);
}

/** What a column takes without the values that equal the one before, roughly. */
export function distinctBits(plan: IntegerPlan, count: number): number {
  return headerBits(plan.base) + scaleBits(plan.way, count);
}

/** What `count` residuals of this sum take, roughly. */
function scaleBits(sum: number, count: number): number {
  const meanCode = (2 * sum) / count;
  return count * (meanCode < 1 ? 1 + meanCode : 1.6 + log2(meanCode));
}

function headerBits(value: number): number {
  return PREDICTOR_BITS + SCALE_BITS + 8 + bitLength(Math.abs(value));
}
