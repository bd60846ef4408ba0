import { Signal } from './lifecycle.js';

/** The fields of a rule that compare a value. */
export interface Comparison {
  above?: number | undefined;
  below?: number | undefined;
  outside?: readonly number[] | undefined;
  equals?: number | boolean | string | undefined;
  clear?: number | readonly number[] | undefined;
}

/**
 * Above, below and outside as one: satisfied beyond `low` or `high`, clear from `clearLow` to `clearHigh`, and held between.
 * The side that a rule does not have is infinite, which no value is beyond.
 */
export interface Band {
  low: number;
  high: number;
  clearLow: number;
  clearHigh: number;
}

/** The band of a comparison; undefined when it is none of above, below and outside. */
export function bandOf({ above, below, outside, clear }: Comparison): Band | undefined {
  if (outside !== undefined) {
    const [low, high] = outside as [number, number];
    const [clearLow, clearHigh] = (clear ?? outside) as [number, number];
    return { low, high, clearLow, clearHigh };
  }
  if (above !== undefined) {
    return { low: -Infinity, high: above, clearLow: -Infinity, clearHigh: (clear as number | undefined) ?? above };
  }
  if (below !== undefined) {
    return { low: below, high: Infinity, clearLow: (clear as number | undefined) ?? below, clearHigh: Infinity };
  }
  return undefined;
}

/** What a comparison says of a value; NaN says nothing. */
export function signalOf(comparison: Comparison): (value: number) => Signal {
  const band = bandOf(comparison);
  if (band === undefined) {
    const target = Number(comparison.equals);
    return (value) => {
      if (value === target) return Signal.SATISFIED;
      return Number.isNaN(value) ? Signal.NONE : Signal.CLEAR;
    };
  }
  const { low, high, clearLow, clearHigh } = band;
  return (value) => {
    if (value > high || value < low) return Signal.SATISFIED;
    if (value <= clearHigh && value >= clearLow) return Signal.CLEAR;
    return Number.isNaN(value) ? Signal.NONE : Signal.HELD;
  };
}
