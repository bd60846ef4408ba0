import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';

/**
 * What matchers see of an alert: the rule's labels, the series' own labels as `series.NAME`, and `rule`, `severity`,
 * `tenant`, `device`, `series` and `unit`, which no label replaces. A label that is not there matches like an empty one.
 */
export function alertLabels(alert: Alert, tenant: string): ReadonlyMap<string, string> {
  const labels = new Map<string, string>(Object.entries(alert.labels));
  for (const [name, value] of Object.entries(alert.seriesLabels)) labels.set(`series.${name}`, value);
  const { rule, severity, device, seriesName: series, seriesUnit: unit } = alert;
  for (const [name, value] of Object.entries({ rule, severity, tenant, device, series, unit })) labels.set(name, value);
  return labels;
}
