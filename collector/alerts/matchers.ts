import { glob, type Matcher } from '@tributary/core/rules/glob';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';

/** Labels of an alert as silences, inhibitions and receivers see them. */
export type AlertLabels = ReadonlyMap<string, string>;

/** Whether an alert with these labels is meant. */
export type LabelMatcher = (labels: AlertLabels) => boolean;

/**
 * Labels of an alert: those of its rule, `series.NAME` for each label of its series, and `rule`, `severity`, `tenant`,
 * `device`, `series` and `unit`, which a rule's label of the same name cannot hide.
 */
export function alertLabels(alert: Alert, tenant: string): AlertLabels {
  const labels = new Map(Object.entries(alert.labels));
  for (const [name, value] of Object.entries(alert.seriesLabels)) labels.set(`series.${name}`, value);
  const { rule, severity, device, seriesName: series, seriesUnit: unit } = alert;
  for (const [name, value] of Object.entries({ rule, severity, tenant, device, series, unit })) labels.set(name, value);
  return labels;
}

/** Globs over labels, all of which must match; a label that is not there is the empty text. */
export function compileMatchers(globs: Readonly<Record<string, string>>): LabelMatcher {
  const matchers = Object.entries(globs).map(([name, pattern]): [string, Matcher] => [name, glob(pattern)]);
  return (labels) => matchers.every(([name, matches]) => matches(labels.get(name) ?? ''));
}
