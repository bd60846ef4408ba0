import type { Phase } from '@tributary/core/rules/phase';
import type { RuleBook } from './rule-book.js';
import type { RuleCell } from './rule-cell.js';
import type { RefusedRule } from './rule-set.js';

/** Rules at work that a status names one by one. */
const NAMED_MAX = 50;

/** A rule that is pending or firing, or of which nobody can say. */
export interface RuleStanding {
  rule: string;
  /** Empty where the rule is over the device. */
  series: string;
  labels: Record<string, string>;
  phase: Phase | 'unknown';
  /** When it began, as far as the time is known. */
  since: string;
}

export interface RulesStatus {
  version: string;
  rules: number;
  /** Rules that this agent cannot judge, and why. */
  refused: RefusedRule[];
  /** Why the rules that the collector sent last are not in force. */
  trouble?: string;
  /** Rules at work, a rule and a series each. */
  watched: number;
  /** For how many series more there was no room. */
  unwatched: number;
  pending: number;
  firing: number;
  /** Found since the start; `transitionsKept` were not sent, because the collector does not take them. */
  transitions: number;
  transitionsKept: number;
  /** Found, and not handed to the actions yet. */
  alertsWaiting: number;
  standing: RuleStanding[];
}

/** What stands beside the rules at work. */
export interface RulesFigures {
  version: string;
  refused: readonly RefusedRule[];
  trouble: string | undefined;
  transitions: number;
  transitionsKept: number;
  alertsWaiting: number;
  /** On the judging line. */
  nowUs: number;
  /** Microseconds since the Unix epoch of a moment that a cell knows. */
  dateOf(cell: RuleCell, us: number): number;
}

export function rulesStatus(book: RuleBook, figures: RulesFigures): RulesStatus {
  const { version, refused, trouble, transitions, transitionsKept, alertsWaiting, nowUs, dateOf } = figures;
  let watched = 0;
  const counts: Record<Phase, number> = { inactive: 0, pending: 0, firing: 0 };
  const standing: RuleStanding[] = [];
  for (const cell of book.cells) {
    watched++;
    const { rule, series, truth, line } = cell;
    counts[truth.phase]++;
    if (truth.phase === 'inactive' || standing.length === NAMED_MAX) continue;
    const phase = line === 'monotonic' ? truth.statusAt(nowUs) : truth.phase;
    const since = new Date(dateOf(cell, truth.sinceUs) / 1000);
    standing.push({
      rule: rule.name,
      series: series.name,
      labels: { ...series.labels },
      phase,
      since: Number.isNaN(since.getTime()) ? '' : since.toISOString(),
    });
  }
  return {
    version,
    rules: book.rules.length,
    refused: [...refused],
    ...(trouble === undefined ? {} : { trouble }),
    watched,
    unwatched: book.cellsRefused,
    pending: counts.pending,
    firing: counts.firing,
    transitions,
    transitionsKept,
    alertsWaiting,
    standing,
  };
}
