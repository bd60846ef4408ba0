import type { Writable } from 'node:stream';
import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import {
  type GetIncidentResponse,
  type Incident,
  type IncidentEvent,
  IncidentEventKind,
  type IncidentServiceClient,
  type ListIncidentsResponse,
  type ListRuleStatesResponse,
} from '@tributary/proto/gen/tributary/v1/incident';
import { formatUs } from '../query/instant-format.js';
import { ask } from '../query/query-client.js';
import { deviceReference } from '../query/read-scope.js';
import { type Format, type Row, RowWriter } from '../query/row-writer.js';
import { findIncidentId } from './incident-deeds.js';

/** What is asked for; empty texts and zeros mean all. */
export interface IncidentQuestion {
  device: string;
  rule: string;
  fromUs: number;
  untilUs: number;
  openOnly: boolean;
  withRetracted: boolean;
  limit: number;
}

const PAGE_SIZE = 350;
/** Digits of an id in a table: enough for a million incidents, and for every command that takes one. */
const ID_DIGITS = 12;

const COLUMNS = [
  'incident',
  'state',
  'device',
  'rule',
  'severity',
  'series',
  'value',
  'started',
  'fired',
  'resolved',
  'acknowledged_by',
  'silenced_by',
  'inhibited_by',
  'data',
  'labels',
  'annotations',
];

/** Prints incidents, the newest first. */
export async function listIncidents(
  client: IncidentServiceClient,
  question: IncidentQuestion,
  out: Writable,
  format: Format,
): Promise<void> {
  const { device, rule, fromUs, untilUs, openOnly, withRetracted, limit } = question;
  const range = fromUs === 0 && untilUs === 0 ? undefined : { fromUs, untilUs };
  const writer = new RowWriter(out, format, COLUMNS);
  let left = limit;
  let pageToken = '';
  do {
    const pageSize = Math.min(PAGE_SIZE, left);
    const request = { device, range, openOnly, withRetracted, rule, pageSize, pageToken, idPrefix: '' };
    const page = await ask<ListIncidentsResponse>((done) => client.listIncidents(request, done));
    await writer.write(page.incidents.map((incident) => incidentRow(incident, format)));
    left -= page.incidents.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && left > 0);
  await writer.end();
}

/** Prints one incident with its history: in a table both, as JSON one object, as CSV the history. */
export async function showIncident(
  client: IncidentServiceClient,
  id: string,
  out: Writable,
  format: Format,
): Promise<void> {
  const incidentId = await findIncidentId(client, id);
  const { incident, events } = await ask<GetIncidentResponse>((done) => client.getIncident({ incidentId }, done));
  if (incident === undefined) return;
  const rows = events.map((event) => eventRow(event, format));
  const about = { ...incidentRow(incident, 'json'), ...details(incident) };
  if (format === 'json') {
    out.write(`${JSON.stringify({ ...about, events: rows })}\n`);
    return;
  }
  if (format === 'table') {
    const writer = new RowWriter(out, format, ['field', 'holds']);
    const filled = Object.entries(about).filter(([, value]) => value !== '' && JSON.stringify(value) !== '{}');
    await writer.write(filled.map(([field, holds]) => ({ field, holds })));
    await writer.end();
    out.write('\n');
  }
  const writer = new RowWriter(out, format, ['at', 'event', 'by', 'text']);
  await writer.write(rows);
  await writer.end();
}

/** Prints where rules stand. */
export async function ruleStates(
  client: IncidentServiceClient,
  question: { device: string; rule: string },
  out: Writable,
  format: Format,
): Promise<void> {
  const columns = [
    'device',
    'rule',
    'series',
    'unit',
    'labels',
    'state',
    'since',
    'last_reading',
    'incident',
    'version',
  ];
  const writer = new RowWriter(out, format, columns);
  const { states } = await ask<ListRuleStatesResponse>((done) => client.listRuleStates(question, done));
  await writer.write(
    states.map((one) => ({
      device: one.device,
      rule: one.rule,
      series: one.seriesName,
      unit: one.seriesUnit,
      labels: one.seriesLabels,
      state: one.state === AlertState.UNSPECIFIED ? 'inactive' : word(AlertState[one.state]),
      since: instant(one.sinceUs),
      last_reading: instant(one.lastReadingUs),
      incident: shownId(one.incidentId, format),
      version: one.ruleVersion,
    })),
  );
  await writer.end();
}

function incidentRow(incident: Incident, format: Format): Row {
  const { alert, tenant, acknowledgedBy, silencedBy, inhibitedBy } = incident;
  return {
    incident: shownId(incident.incidentId, format),
    state: stateOf(incident),
    device: deviceReference({ tenant, device: alert?.device ?? '' }),
    rule: alert?.rule ?? '',
    severity: alert?.severity ?? '',
    series: alert?.seriesName ?? '',
    value: alert?.value ?? Number.NaN,
    started: formatUs(incident.startedAtUs),
    fired: formatUs(incident.firedAtUs),
    resolved: instant(incident.resolvedAtUs),
    acknowledged_by: nameOf(acknowledgedBy, format),
    silenced_by: silencedBy.join(' '),
    inhibited_by: inhibitedBy.map((id) => shownId(id, format)).join(' '),
    data: incident.dataMissing ? 'missing' : '',
    labels: alert?.labels ?? {},
    annotations: alert?.annotations ?? {},
  };
}

/** What the list has no room for. */
function details({ alert, notified, acknowledgedAtUs, resolvedBy }: Incident): Row {
  return {
    notified,
    acknowledged_at: acknowledgedAtUs === 0 ? '' : formatUs(acknowledgedAtUs),
    resolved_by: resolvedBy,
    unit: alert?.seriesUnit ?? '',
    series_labels: alert?.seriesLabels ?? {},
    rule_version: alert?.ruleVersion ?? '',
    evaluated_by: word(RuleAuthority[alert?.authority ?? 0]),
  };
}

function eventRow({ kind, atUs, by, text }: IncidentEvent, format: Format): Record<string, string> {
  return {
    at: atUs === 0 ? '' : formatUs(atUs),
    event: kind === IncidentEventKind.UNSPECIFIED ? 'left-out' : word(IncidentEventKind[kind]),
    by: nameOf(by, format),
    text: format === 'table' ? text.replaceAll(/\s+/g, ' ') : text,
  };
}

function stateOf({ retracted, resolvedAtUs }: Incident): string {
  if (retracted) return 'retracted';
  return resolvedAtUs === undefined ? 'firing' : 'resolved';
}

function shownId(id: Uint8Array, format: Format): string {
  const digits = Buffer.from(id).toString('hex');
  return format === 'table' ? digits.slice(0, ID_DIGITS) : digits;
}

/** A table has room for the last part of a SPIFFE id, which is who it is. */
function nameOf(spiffeId: string, format: Format): string {
  return format === 'table' ? (spiffeId.split('/').at(-1) ?? '') : spiffeId;
}

function instant(us: number | undefined): string {
  return us === undefined ? '' : formatUs(us);
}

function word(name: string | undefined): string {
  return (name ?? 'unknown').toLowerCase().replaceAll('_', '-');
}
