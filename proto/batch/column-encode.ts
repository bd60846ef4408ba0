import type { BitWriter } from './bit-writer.js';
import { viewAsDecimals } from './decimal.js';
import { DIGITS_BITS, DoubleForm, EXPONENT_BITS, FORM_BITS, LOW_BITS_BITS, WIDTH_BITS } from './double-code.js';
import { viewAsFractions } from './fraction.js';
import { distinctBits, IntegerPlan, planIntegers, writeIntegers } from './integer-encode.js';
import { countsBits, writeCounts } from './run-lengths.js';
import { ScaledView } from './scaled-view.js';
import { significantDigits } from './significant.js';

/** Scratch memory of the encoder: it is synchronous, so one set serves all. */
const decimals = new ScaledView();
const fractions = new ScaledView();
const plan = new IntegerPlan();
const headPlan = new IntegerPlan();
let heads = new Float64Array(1024);
let runs = new Int32Array(1024);
let highWords = new Float64Array(1024);

const significants = new ScaledView();

/** Decimals of more digits than this may be averages in disguise. */
const PLAIN_EXPONENT_MAX = 4;
/** A column of fewer bits a value than this is not improved by storing bits of doubles. */
const GOOD_BITS = 24;

/** Writes the values of a double column. */
export function writeDoubles(writer: BitWriter, values: Float64Array, count: number): void {
  if (count === 0) return;
  decimals.reserve(count);
  if (!viewAsDecimals(values, count, decimals)) {
    writeBitsIfSmaller(writer, values, count, Number.POSITIVE_INFINITY);
    return;
  }
  if (decimals.form === DoubleForm.decimal && decimals.divideByStep(count)) {
    planView(decimals, count);
    writeView(writer, decimals, values, count);
    return;
  }
  let view = decimals;
  let bits = planView(view, count);
  const digits = significantDigits(decimals, count);
  if (digits > 0) {
    significants.reserve(count);
    significants.fillSignificant(values, count, digits, decimals.exponent);
    const significantBits = planView(significants, count);
    if (significantBits < bits) {
      view = significants;
      bits = significantBits;
    } else {
      planView(view, count);
    }
  }
  if (decimals.exceptions > 0 || decimals.exponent > PLAIN_EXPONENT_MAX) {
    fractions.reserve(count);
    if (viewAsFractions(values, count, fractions)) {
      const fractionBits = planView(fractions, count);
      if (fractionBits < bits) {
        view = fractions;
        bits = fractionBits;
      }
    }
    if (bits > GOOD_BITS * count && writeBitsIfSmaller(writer, values, count, bits)) return;
    planView(view, count);
  }
  writeView(writer, view, values, count);
}

let useHeads = false;
let headCount = 0;

/** Whether to plan the heads of runs at all. They are often clustered, which the estimate does not see. */
function runsMayWin(length: number, count: number): boolean {
  return (
    plan.bits > 40 && distinctBits(plan, length) + countsBits(count - length, length) + 12 < plan.bits * CLUSTERING
  );
}

const CLUSTERING = 1.15;

/** Plans a view with and without run lengths, and returns what the better one takes in bits. */
function planView(view: ScaledView, count: number): number {
  const fixed = view.form === DoubleForm.fraction ? 40 : view.form === DoubleForm.significant ? 20 : EXPONENT_BITS;
  const extra = fixed + view.exceptionBits(count);
  planIntegers(view.integers, count, plan);
  useHeads = false;
  if (view.repeats * 3 > count && runsMayWin(count - view.repeats, count)) {
    takeHeads(view.integers, count);
    planIntegers(heads, headCount, headPlan);
    const headBits = headPlan.bits + countsBits(count - headCount, headCount) + 12;
    if (headBits < plan.bits) {
      useHeads = true;
      return headBits + extra;
    }
  }
  return plan.bits + extra;
}

function reserveHeads(count: number): void {
  if (heads.length >= count) return;
  heads = new Float64Array(count * 2);
  runs = new Int32Array(count * 2);
}

function takeHeads(integers: Float64Array, count: number): void {
  reserveHeads(count);
  let length = 0;
  let start = 0;
  for (let i = 1; i <= count; i++) {
    if (i === count || integers[i] !== integers[start]) {
      heads[length] = integers[start]!;
      runs[length++] = i - start - 1;
      start = i;
    }
  }
  headCount = length;
}

function writeView(writer: BitWriter, view: ScaledView, values: Float64Array, count: number): void {
  writer.reserve(256);
  writer.bits(view.form, FORM_BITS);
  writeRuns(writer);
  if (view.form === DoubleForm.fraction) {
    writer.unsigned(view.divisor);
    writer.unsigned(view.refinement);
    writer.bits(view.digits, DIGITS_BITS);
  } else {
    writer.bits(view.exponent, EXPONENT_BITS);
    if (view.form === DoubleForm.significant) writer.bits(view.digits, DIGITS_BITS);
    if (view.form === DoubleForm.stepped) {
      writer.signed(view.offset);
      writer.unsigned(view.step);
    }
  }
  if (useHeads) writeIntegers(writer, heads, headCount, headPlan);
  else writeIntegers(writer, view.integers, count, plan);
  if (view.form !== DoubleForm.decimal && view.form !== DoubleForm.stepped)
    writeExceptions(writer, view, values, count);
}

/** Writes whether the column is stored as runs, and how long they are; the last length follows from the count. */
function writeRuns(writer: BitWriter): void {
  writer.bits(useHeads ? 1 : 0, 1);
  if (!useHeads) return;
  writer.unsigned(headCount);
  writeCounts(writer, runs, headCount - 1);
  writer.reserve(256);
}

/** Writes the positions of the exceptions as gaps, then for each its correction, or 0 and the raw value. */
function writeExceptions(writer: BitWriter, view: ScaledView, values: Float64Array, count: number): void {
  const { positions, corrections, exceptions, width } = view;
  writer.reserve(64);
  writer.unsigned(exceptions);
  if (exceptions === 0) return;
  for (let i = exceptions - 1; i > 0; i--) positions[i] = positions[i]! - positions[i - 1]! - 1;
  writeCounts(writer, positions, exceptions);
  writer.reserve(exceptions * 80 + 64);
  writer.bits(width, WIDTH_BITS);
  const words = view.raws > 0 ? new Uint32Array(values.buffer, values.byteOffset, count * 2) : NO_WORDS;
  let position = -1;
  for (let i = 0; i < exceptions; i++) {
    position += positions[i]! + 1;
    const correction = corrections[i]!;
    writer.bits((correction << 1) ^ (correction >> 31), width);
    if (correction === 0) {
      writer.bits(words[position * 2]!, 32);
      writer.bits(words[position * 2 + 1]!, 32);
    }
  }
}

const NO_WORDS = new Uint32Array(0);

let headWords = new Uint32Array(2048);

/** Writes the column as bits or raw if that takes fewer than `limit` bits. */
function writeBitsIfSmaller(writer: BitWriter, values: Float64Array, count: number, limit: number): boolean {
  const words = takeWordHeads(new Uint32Array(values.buffer, values.byteOffset, count * 2), count);
  const length = headCount;
  const runBits = useHeads ? countsBits(count - length, length) + 12 : 0;
  if (highWords.length < length) highWords = new Float64Array(length * 2);
  let low = 0;
  for (let i = 0; i < length; i++) {
    low |= words[i * 2]!;
    const high = words[i * 2 + 1]! | 0;
    // Sign and magnitude become an order: the integers of neighbouring doubles are neighbours.
    highWords[i] = high < 0 ? high ^ 0x7fff_ffff : high;
  }
  const lowBits = low === 0 ? 0 : 32 - (31 - Math.clz32(low & -low));
  planIntegers(highWords, length, plan);
  const bits = plan.bits + 6 + lowBits * length;
  const rawBits = 64 * length;
  if (Math.min(bits, rawBits) + runBits >= limit) return false;
  writer.reserve(256 + length * 64);
  const raw = rawBits <= bits;
  writer.bits(raw ? DoubleForm.raw : DoubleForm.bits, FORM_BITS);
  writeRuns(writer);
  if (raw) {
    writer.reserve(64 + length * 64);
    for (let i = 0; i < length * 2; i++) writer.bits(words[i]!, 32);
    return true;
  }
  writer.bits(lowBits, LOW_BITS_BITS);
  writeIntegers(writer, highWords, length, plan);
  writer.reserve(64 + length * 32);
  if (lowBits > 0) for (let i = 0; i < length; i++) writer.bits(words[i * 2]! >>> (32 - lowBits), lowBits);
  return true;
}

/** The first of each run of equal doubles, where a third of them repeat the one before; otherwise all of them. */
function takeWordHeads(words: Uint32Array, count: number): Uint32Array {
  let repeats = 0;
  for (let i = 2; i < count * 2; i += 2) {
    if (words[i] === words[i - 2] && words[i + 1] === words[i - 1]) repeats++;
  }
  useHeads = repeats * 3 > count;
  headCount = count;
  if (!useHeads) return words;
  reserveHeads(count);
  if (headWords.length < count * 2) headWords = new Uint32Array(count * 4);
  let length = 0;
  let start = 0;
  for (let i = 1; i <= count; i++) {
    if (i === count || words[i * 2] !== words[start * 2] || words[i * 2 + 1] !== words[start * 2 + 1]) {
      headWords[length * 2] = words[start * 2]!;
      headWords[length * 2 + 1] = words[start * 2 + 1]!;
      runs[length++] = i - start - 1;
      start = i;
    }
  }
  headCount = length;
  return headWords;
}
