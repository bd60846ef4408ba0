import type { FieldProblem } from '../config/field-check.js';
import type { Comparison } from './band.js';

const COMPARISONS = ['above', 'below', 'outside', 'equals'] as const;

/** What is wrong with the fields that compare: none or several of them, and bands that no value could ever leave or reach. */
export function* checkComparison(comparison: Comparison): Iterable<FieldProblem> {
  const [first, second] = COMPARISONS.filter((field) => comparison[field] !== undefined);
  if (first === undefined) {
    yield { path: [], message: 'there is no condition; write above, below, outside or equals' };
    return;
  }
  if (second !== undefined) {
    yield { path: [second], message: `${first} and ${second} in one rule; make two rules of it, or members of any` };
    return;
  }
  const { above, below, outside, clear } = comparison;
  if (outside !== undefined && outside[0]! > outside[1]!) {
    yield {
      path: ['outside'],
      message: `low lies above high, so every value would be outside; write [${outside[1]}, ${outside[0]}]`,
    };
  } else if (clear !== undefined) {
    if (first === 'equals') {
      yield { path: ['clear'], message: 'equals has no band: any other value clears; leave clear out' };
    } else if (outside !== undefined) yield* checkClearBand(outside, clear);
    else if (typeof clear !== 'number') {
      yield { path: ['clear'], message: `a band where ${first} wants a number; write one number` };
    } else if (above !== undefined && clear > above) {
      yield {
        path: ['clear'],
        message: `clear lies above the threshold, so the alert would end at once; write ${above} or less`,
      };
    } else if (below !== undefined && clear < below) {
      yield {
        path: ['clear'],
        message: `clear lies below the threshold, so the alert would end at once; write ${below} or more`,
      };
    }
  }
}

function* checkClearBand(outside: readonly number[], clear: number | readonly number[]): Iterable<FieldProblem> {
  const [low, high] = outside as [number, number];
  if (typeof clear === 'number') {
    yield {
      path: ['clear'],
      message: `one number where outside wants a band; write [low, high] within [${low}, ${high}]`,
    };
    return;
  }
  const [clearLow, clearHigh] = clear as [number, number];
  if (clearLow > clearHigh) {
    yield { path: ['clear'], message: 'low lies above high, so no value would ever clear; write [low, high]' };
  } else if (clearLow < low || clearHigh > high) {
    yield {
      path: ['clear'],
      message: `clear reaches beyond outside, so the alert would end at once; stay within [${low}, ${high}]`,
    };
  }
}
