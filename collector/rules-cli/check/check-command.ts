import type { Writable } from 'node:stream';
import { type ConfigProblem, problemText } from '@tributary/core/config/problem';
import { RowWriter } from '../../query/row-writer.js';
import { type CheckResult, checkRules, type RuleSummary } from './check-rules.js';
import type { KnownSeries } from './known-series.js';

/** A rule for each of so many series takes some 10 MB of a collector, and an alert of each of them nobody reads. */
export const SERIES_MAX_DEFAULT = 10_000;

/** Checks a file and prints what was found. Answers whether the file is in order. */
export async function printCheck(
  file: string,
  known: AsyncIterable<KnownSeries> | undefined,
  seriesMax: number,
  json: boolean,
  out: Writable,
): Promise<boolean> {
  const result = await checkRules(file, known, seriesMax);
  const isInOrder = result.problems.length === 0;
  if (json) out.write(`${JSON.stringify({ ok: isInOrder, ...result })}\n`);
  else await printText(result, out);
  return isInOrder;
}

async function printText({ file, problems, rules, warnings }: CheckResult, out: Writable): Promise<void> {
  const lines = (found: readonly ConfigProblem[]) => found.map((one) => `${problemText(file, one)}\n`).join('');
  if (problems.length > 0) {
    out.write(`${lines(problems)}${file}: ${counted(problems.length, 'problem')}\n`);
    return;
  }
  const columns = ['rule', 'severity', 'judged by', 'condition', 'for', 'selects'];
  const isKnown = rules[0]?.series !== undefined;
  const writer = new RowWriter(out, 'table', isKnown ? [...columns, 'series', 'devices'] : columns);
  await writer.write(rules.map(row));
  await writer.end();
  if (warnings.length > 0) out.write(`warnings:\n${lines(warnings)}`);
  out.write(`${file}: ${counted(rules.length, 'rule')} in order, ${counted(warnings.length, 'warning')}\n`);
}

function row({ rule, severity, evaluate, condition, for: forText, select, series = 0, devices = 0 }: RuleSummary) {
  const words = { condition: plain(condition), for: forText, selects: plain(select) };
  return { rule, severity, 'judged by': evaluate, ...words, series, devices };
}

/** As YAML has it on one line: `above: 80, clear: [1, 2]`. */
function plain(value: unknown, isNested = false): string {
  if (Array.isArray(value)) return `[${value.map((one) => plain(one, true)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const text = Object.entries(value)
    .map(([key, one]) => `${key}: ${plain(one, true)}`)
    .join(', ');
  return isNested ? `{${text}}` : text;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
