import { exponentOf } from './decimal.js';
import { decimalsOf, POWERS_OF_TEN } from './double-code.js';
import type { ScaledView } from './scaled-view.js';

/** Averages of 2, 3, 4, 6, 12; of 9, 36; of 7: what is left of their divisors beside a power of ten. */
const FACTORS = [3, 6, 12, 9, 36, 7] as const;
/** What all candidates divide: a column that these do not explain is no average, and most are not. */
const FINEST_THREES = 36_000;
const FINEST_SEVENS = 7_000;
/** Loggers average readings of at most three decimals. */
const EXPONENTS = 4;
/** Significant digits of a single and of a double printed as text; other numbers of digits are seldom printed. */
const SINGLE_DIGITS = 7;
const DOUBLE_DIGITS = 15;
/** How many values decide whether a divisor fits. */
const SAMPLES = 24;

const samples = new Float64Array(SAMPLES);
/** For each sample the power of ten that its last significant digit counts. */
const powers = new Float64Array(SAMPLES);

/** Fills `view` with a divisor that explains the values as printed averages, if there is one. */
export function viewAsFractions(values: Float64Array, count: number, view: ScaledView): boolean {
  const length = takeSamples(values, count);
  if (length === 0) return false;
  const digits = digitsOf(length);
  if (digits === 0) return false;
  for (let i = 0; i < length; i++) powers[i] = POWERS_OF_TEN[decimalsOf(samples[i]!, digits)]!;
  if (matching(FINEST_THREES, length) * 4 < length && matching(FINEST_SEVENS, length) * 4 < length) return false;
  let total = 0;
  let matched = 0;
  let factor = 1;
  for (let exponent = 0; exponent < EXPONENTS; exponent++) {
    for (const candidate of FACTORS) {
      const divisor = candidate * POWERS_OF_TEN[exponent]!;
      const matches = matching(divisor, length);
      // A finer divisor matches more by chance: it has to explain clearly more.
      if (matches > matched + length / 12) {
        matched = matches;
        total = divisor;
        factor = candidate;
      }
    }
  }
  if (matched * 2 < length) return false;
  if (matched < length * 0.95 && digits === SINGLE_DIGITS) {
    view.fillFraction(values, count, total, 0, digits);
    return true;
  }
  const coarse = total / factor;
  const onCoarse = matching(coarse, length);
  // Bits a value: all on the fine divisor, against corrections where the coarse one does not reach.
  const fine = Math.log2(factor) * length;
  const corrected = (length - onCoarse) * (3 + Math.log2(factor));
  if (corrected < fine) view.fillFraction(values, count, coarse, factor, digits);
  else view.fillFraction(values, count, total, 1, digits);
  return true;
}

function takeSamples(values: Float64Array, count: number): number {
  const step = Math.max(1, count / SAMPLES);
  let length = 0;
  for (let at = 0; at < count && length < SAMPLES; at += step) {
    const value = values[Math.floor(at)]!;
    if (Number.isFinite(value)) samples[length++] = value;
  }
  return length;
}

/** The significant digits that the longest samples were printed with, or 0 when it is neither 7 nor 15. */
function digitsOf(length: number): number {
  let digits = 0;
  for (let i = 0; i < length; i++) {
    const value = samples[i]!;
    const exponent = exponentOf(value, 0);
    if (exponent < 0) return 0;
    // The digits before the point are those that 17 significant digits leave no decimals for.
    const significant = exponent + 17 - decimalsOf(value, 17);
    digits = Math.max(digits, significant);
  }
  if (digits > SINGLE_DIGITS) return digits <= DOUBLE_DIGITS ? DOUBLE_DIGITS : 0;
  return SINGLE_DIGITS;
}

/** How many samples are integers over `divisor`, printed. */
function matching(divisor: number, length: number): number {
  let matches = 0;
  for (let i = 0; i < length; i++) {
    const value = samples[i]!;
    const power = powers[i]!;
    if (Math.round((Math.round(value * divisor) / divisor) * power) / power === value) matches++;
  }
  return matches;
}
