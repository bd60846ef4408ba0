import { formatDurationMs } from '../config/duration.js';
import type { Rule } from './rule.js';

/** Fields of a rule, wherever they stand in it, that hold a duration: in milliseconds once checked, as text in a file. */
const DURATIONS: ReadonlySet<string> = new Set([
  'for',
  'keep_firing_for',
  'gap',
  'over',
  'per',
  'every',
  'absent',
  'memory',
  'season',
  'warm_up',
  'relearn_after',
]);

/**
 * Rules as a file of rules that reads as the same rules: one a line, fields in order of name. Equal rules have equal texts, so
 * a hash of it is a version.
 */
export function rulesText(rules: readonly Rule[]): string {
  if (rules.length === 0) return '';
  return `rules:\n${rules.map((rule) => `- ${written(rule, '')}\n`).join('')}`;
}

/** JSON is YAML. */
function written(value: unknown, field: string): string {
  if (typeof value === 'number' && DURATIONS.has(field)) return JSON.stringify(formatDurationMs(value));
  if (Array.isArray(value)) return `[${value.map((entry) => written(entry, '')).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}: ${written(entry, key)}`).join(', ')}}`;
}
