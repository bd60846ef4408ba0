import { formatDurationMs } from '../config/duration.js';
import type { FieldProblem } from '../config/field-check.js';
import { checkComparison } from './check-comparison.js';
import type { Condition } from './condition.js';

const COMPARISONS = ['above', 'below', 'outside', 'equals'] as const;
const DERIVATIONS = ['rate', 'delta', 'window', 'absent', 'deviation'] as const;

/** Panes of a window are kept and saved for each series: at most 4 kB. */
const PANES_MAX = 120;

/** The field that says how a value is derived from readings; undefined where they are compared as they are. */
export function derivationOf(condition: Condition): (typeof DERIVATIONS)[number] | undefined {
  return DERIVATIONS.find((field) => condition[field] !== undefined);
}

/** Whether any field of a condition is there. */
export function hasCondition(condition: Condition): boolean {
  return derivationOf(condition) !== undefined || COMPARISONS.some((field) => condition[field] !== undefined);
}

/** What is wrong with a condition as a whole. Paths begin at the object that it stands in. */
export function* checkCondition(condition: Condition): Iterable<FieldProblem> {
  const derivations = DERIVATIONS.filter((field) => condition[field] !== undefined);
  const [derivation, second] = derivations;
  if (second !== undefined) {
    yield {
      path: [second],
      message: `${derivation} and ${second} in one condition; make two rules of it, or members of all or any`,
    };
    return;
  }
  if (derivation === 'absent') yield* checkAbsent(condition);
  else if (derivation === 'deviation') yield* checkDeviation(condition);
  else if (derivation === undefined) yield* checkComparison(condition);
  else yield* checkDerived(condition, derivation);
}

function* checkDerived(condition: Condition, derivation: 'rate' | 'delta' | 'window'): Iterable<FieldProblem> {
  const { equals } = condition;
  if (COMPARISONS.every((field) => condition[field] === undefined)) {
    yield {
      path: [derivation],
      message: `${derivation} is compared with nothing; write above, below, outside or equals beside it`,
    };
    return;
  }
  if (equals !== undefined && typeof equals !== 'number') {
    yield { path: ['equals'], message: `no number, which a ${derivation} always is; write a number` };
  }
  yield* checkComparison(condition);
  if (condition.window !== undefined) yield* checkWindow(condition.window);
}

function* checkWindow(window: NonNullable<Condition['window']>): Iterable<FieldProblem> {
  const { over, every = over / 10, quantile } = window;
  if (over % every !== 0) {
    const least = Math.max(100, Math.ceil(over / PANES_MAX));
    const near = divisors(over).filter((divisor) => divisor >= least);
    const nearest = near.toSorted((a, b) => Math.abs(a - every) - Math.abs(b - every))[0] ?? over;
    yield {
      path: ['window', 'every'],
      message: `it does not divide over (${formatDurationMs(over)}); write ${formatDurationMs(nearest)}`,
    };
  } else if (over / every > PANES_MAX) {
    yield {
      path: ['window', 'every'],
      message: `it divides over into more than ${PANES_MAX} parts, which are kept for each series; write ${formatDurationMs(Math.ceil(over / PANES_MAX))} or more`,
    };
  }
  if (window.function === 'quantile' && quantile === undefined) {
    yield { path: ['window'], message: 'quantile does not say which; write quantile: 0.95 beside it' };
  } else if (window.function !== 'quantile' && quantile !== undefined) {
    yield { path: ['window', 'quantile'], message: `${window.function} has no quantile; leave it out` };
  }
}

/** Those of a duration that are whole milliseconds, at most 120 parts and the parts that a person would write. */
function divisors(overMs: number): number[] {
  return Array.from({ length: PANES_MAX }, (_, index) => overMs / (index + 1)).filter(Number.isInteger);
}

function* checkAbsent(condition: Condition): Iterable<FieldProblem> {
  for (const field of [...COMPARISONS, 'clear'] as const) {
    if (condition[field] !== undefined) {
      yield { path: [field], message: `absent compares nothing; leave ${field} out or make two rules of it` };
    }
  }
}

function* checkDeviation(condition: Condition): Iterable<FieldProblem> {
  for (const field of COMPARISONS) {
    if (condition[field] !== undefined) {
      yield {
        path: [field],
        message: `deviation finds its limits by itself; leave ${field} out and set sensitivity and direction`,
      };
    }
  }
  const { sensitivity, memory, season } = condition.deviation!;
  const { clear } = condition;
  if (clear !== undefined && (typeof clear !== 'number' || clear < 0 || clear > sensitivity)) {
    yield {
      path: ['clear'],
      message: `no number of deviations within the band; write a number from 0 to ${sensitivity}`,
    };
  }
  if (season !== undefined && memory !== undefined && memory < season) {
    yield {
      path: ['deviation', 'memory'],
      message: `shorter than the season, which would be forgotten before it returns; write ${formatDurationMs(season)} or more`,
    };
  }
}
