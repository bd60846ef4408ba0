import { glob } from '@tributary/core/rules/glob';

/** Whether the labels of an alert are meant. */
export type LabelMatcher = (labels: ReadonlyMap<string, string>) => boolean;

/** All of the patterns must match; none at all match everything. A label that is missing is empty. */
export function labelMatcher(globs: Readonly<Record<string, string>>): LabelMatcher {
  const matchers = Object.entries(globs).map(([name, pattern]) => ({ name, matches: glob(pattern) }));
  return (labels) => matchers.every(({ name, matches }) => matches(labels.get(name) ?? ''));
}
