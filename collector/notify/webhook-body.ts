import { type Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import * as v from 'valibot';
import { formatUs } from '../query/instant-format.js';
import { clipped, clippedEntries } from './clipped.js';
import { incidentHex, incidentLink } from './incident-link.js';

/** Grows when something that was there means something else. New fields alone do not change it. */
const VERSION = 1;

/** The specification recommends less than 20 kB in all: a few sentences a text. */
const TEXT_MAX = 2048;

const instant = (what: string) => v.pipe(v.string(), v.isoTimestamp(), v.description(what));
const texts = (what: string) => v.pipe(v.record(v.string(), v.string()), v.description(what));

/** What a webhook's body holds. Receivers are to ignore fields that they do not know. */
export const webhookBodySchema = v.object({
  type: v.pipe(
    v.picklist(['incident.firing', 'incident.resolved']),
    v.description('what happened; with the incident it is what webhook-id stands for'),
  ),
  version: v.pipe(v.literal(VERSION), v.description('of this schema')),
  timestamp: instant('when it happened, by the readings and not by the time of sending'),
  data: v.object({
    incident: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/), v.description('the id, the same for firing and resolved')),
    state: v.picklist(['firing', 'resolved']),
    rule: v.pipe(v.string(), v.description('name of the rule')),
    ruleVersion: v.string(),
    severity: v.string(),
    tenant: v.pipe(v.string(), v.description('empty where there is none')),
    device: v.string(),
    series: v.pipe(
      v.nullable(v.object({ name: v.string(), unit: v.string(), labels: texts('labels of the series') })),
      v.description('null when the incident is about the device as a whole'),
    ),
    value: v.pipe(
      v.union([v.number(), v.picklist(['NaN', 'Infinity', '-Infinity'])]),
      v.description('the reading that made the transition'),
    ),
    startedAt: instant('since when the rule is satisfied'),
    resolvedAt: v.optional(instant('of a resolved incident')),
    retracted: v.pipe(
      v.boolean(),
      v.description('of a resolved incident: readings that came late show that there was none'),
    ),
    evaluatedBy: v.picklist(['collector', 'device']),
    labels: texts('labels of the rule'),
    annotations: texts('annotations of the rule, in its words'),
    link: v.optional(v.pipe(v.string(), v.url(), v.description('where to find more'))),
  }),
});

export type WebhookBody = v.InferOutput<typeof webhookBodySchema>;

/** The body of the notification of one transition; the same bytes at each attempt. */
export function webhookBody(alert: Alert, tenant: string, linkTemplate: string | undefined): WebhookBody {
  const state = alert.state === AlertState.RESOLVED ? 'resolved' : 'firing';
  const { seriesName, seriesUnit, seriesLabels } = alert;
  const texts = (entries: Readonly<Record<string, string>>) => Object.fromEntries(clippedEntries(entries, TEXT_MAX));
  const transitionAt = formatUs(alert.transitionAtUs);
  return {
    type: `incident.${state}`,
    version: VERSION,
    timestamp: transitionAt,
    data: {
      incident: incidentHex(alert.incidentId),
      state,
      rule: alert.rule,
      ruleVersion: alert.ruleVersion,
      severity: alert.severity,
      tenant,
      device: alert.device,
      series:
        seriesName === ''
          ? null
          : { name: clipped(seriesName, TEXT_MAX), unit: seriesUnit, labels: texts(seriesLabels) },
      value: jsonValue(alert.value),
      startedAt: formatUs(alert.startedAtUs),
      ...(state === 'resolved' ? { resolvedAt: transitionAt } : {}),
      retracted: alert.retracted,
      evaluatedBy: alert.authority === RuleAuthority.DEVICE ? 'device' : 'collector',
      labels: texts(alert.labels),
      annotations: texts(alert.annotations),
      ...(linkTemplate === undefined ? {} : { link: incidentLink(linkTemplate, alert, tenant) }),
    },
  };
}

/** JSON has no word for them; these are those of protobuf's JSON mapping. */
function jsonValue(value: number): WebhookBody['data']['value'] {
  return Number.isFinite(value) ? value : (String(value) as 'NaN' | 'Infinity' | '-Infinity');
}
