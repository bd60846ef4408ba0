import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { formatUs } from '../query/instant-format.js';
import { clippedEntries } from './clipped.js';
import { incidentHex, incidentLink } from './incident-link.js';

/** Labels identify and are compared and grouped by; annotations are read. */
const LABEL_MAX = 1024;
const ANNOTATION_MAX = 4096;

/** `postableAlert` of Alertmanager's API v2 (api/v2/openapi.yaml). */
export interface PostableAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt: string;
  generatorURL?: string;
}

export interface AlertTimes {
  startedAtUs: number;
  /** Until when it is to be taken as firing; in the past it is resolved. */
  endsAtUs: number;
}

/**
 * An incident in Alertmanager's terms. Labels make the identity of an alert there, so both transitions of an incident must
 * come from the same one, `firing`: labels may be templates over the value.
 */
export function postableAlert(
  firing: Alert,
  newest: Alert,
  tenant: string,
  times: AlertTimes,
  linkTemplate: string | undefined,
): PostableAlert {
  const annotations = named([
    ['incident', incidentHex(firing.incidentId)],
    ['value', String(newest.value)],
    ...(newest.retracted ? [['retracted', 'true'] as [string, string]] : []),
    ...clippedEntries(newest.annotations, ANNOTATION_MAX),
  ]);
  return {
    labels: postableLabels(firing, tenant),
    annotations,
    // A device's clock may be ahead of the one here; Alertmanager refuses what ends before it begins.
    startsAt: formatUs(Math.min(times.startedAtUs, times.endsAtUs)),
    endsAt: formatUs(times.endsAtUs),
    ...(linkTemplate === undefined ? {} : { generatorURL: incidentLink(linkTemplate, firing, tenant) }),
  };
}

function postableLabels(alert: Alert, tenant: string): Record<string, string> {
  const { rule: alertname, severity, device, seriesName: series, seriesUnit: unit } = alert;
  return named([
    ...clippedEntries({ alertname, severity, tenant, device, series, unit }, LABEL_MAX),
    ...clippedEntries(alert.labels, LABEL_MAX),
    ...clippedEntries(alert.seriesLabels, LABEL_MAX),
  ]);
}

/**
 * Entries under names that Prometheus takes. The first to have a name keeps it; a later one of that name is called
 * `exported_NAME`, as Prometheus does with labels that a target and a scrape both have. Empty values are left out, because
 * an empty label is none.
 */
function named(entries: readonly [string, string][]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of entries) {
    if (value === '') continue;
    let free = labelName(name);
    while (Object.hasOwn(result, free)) free = `exported_${free}`;
    result[free] = value;
  }
  return result;
}

/** `[a-zA-Z_][a-zA-Z0-9_]*`; two underscores in front are reserved (Prometheus, "Metric names and labels"). */
function labelName(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_]/g, '_').slice(0, 128);
  return /^(__|\d|$)/.test(plain) ? `label_${plain.replace(/^_+/, '')}` : plain;
}
