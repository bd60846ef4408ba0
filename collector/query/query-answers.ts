import type { Writable } from 'node:stream';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import {
  type ListAlertsResponse,
  type ListDevicesResponse,
  type ListSeriesResponse,
  type QueryReadingsResponse,
  type QueryRollupsResponse,
  type QueryServiceClient,
  type Series,
  TimeQuality,
} from '@tributary/proto/gen/tributary/v1/query';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { formatInstant, formatUs } from './instant-format.js';
import { ask } from './query-client.js';
import { type Cell, type Format, type Row, RowWriter } from './row-writer.js';

/** What is asked for; empty texts and zeros mean all. */
export interface Question {
  device: string;
  series: string;
  fromUs: number;
  untilUs: number;
  limit: number;
  stepSeconds: number;
  firingOnly: boolean;
}

/** Asks a collector and prints what it answers. */
export type Answer = (client: QueryServiceClient, question: Question, out: Writable, format: Format) => Promise<void>;

const PAGE_SIZE = 1000;

export const devices: Answer = async (client, _, out, format) => {
  const writer = new RowWriter(out, format, [
    'device',
    'tenant',
    'readings',
    'items',
    'waiting',
    'first_seen',
    'last_seen',
    'agent',
    'attributes',
  ]);
  await paged(async (pageToken) => {
    const page = await ask<ListDevicesResponse>((done) => client.listDevices({ pageSize: PAGE_SIZE, pageToken }, done));
    await writer.write(
      page.devices.map((device) => ({
        device: device.device,
        tenant: device.tenant,
        readings: device.readingsStored,
        items: device.itemsStored,
        waiting: device.readingsWaiting,
        first_seen: formatUs(device.firstSeenUs),
        last_seen: formatUs(device.lastSeenUs),
        agent: device.agentVersion,
        attributes: device.attributes,
      })),
    );
    return page.nextPageToken;
  });
  await writer.end();
};

export const series: Answer = async (client, question, out, format) => {
  const writer = new RowWriter(out, format, ['device', 'series', 'unit', 'labels', 'type', 'id']);
  await paged(async (pageToken) => {
    const { device, series: name } = question;
    const page = await ask<ListSeriesResponse>((done) =>
      client.listSeries({ device, name, pageSize: PAGE_SIZE, pageToken }, done),
    );
    await writer.write(
      page.series.map((one) => ({ ...seriesCells(one), type: word(ValueType[one.type]), id: one.id })),
    );
    return page.nextPageToken;
  });
  await writer.end();
};

export const readings: Answer = async (client, question, out, format) => {
  const writer = new RowWriter(out, format, ['device', 'series', 'unit', 'labels', 'time', 'value', 'clock']);
  const { device, series: name, limit } = question;
  const stream = client.queryReadings({ device, name, range: rangeOf(question), limit });
  for await (const message of stream as AsyncIterable<QueryReadingsResponse>) await writer.write(readingRows(message));
  await writer.end();
};

export const rollups: Answer = async (client, question, out, format) => {
  const writer = new RowWriter(out, format, [
    'device',
    'series',
    'unit',
    'labels',
    'start',
    'count',
    'min',
    'max',
    'mean',
    'stddev',
    'first',
    'last',
  ]);
  const { device, series: name, stepSeconds } = question;
  const stream = client.queryRollups({ device, name, range: rangeOf(question), stepSeconds });
  for await (const message of stream as AsyncIterable<QueryRollupsResponse>) {
    await writer.write(
      message.rollups.map((one) => ({
        ...seriesCells(message.series),
        start: formatUs(one.startUs),
        count: one.count,
        min: one.min,
        max: one.max,
        mean: one.mean,
        // Of the population: these are all the readings there are, not a sample of them.
        stddev: Math.sqrt(one.m2 / one.count),
        first: one.first,
        last: one.last,
      })),
    );
  }
  await writer.end();
};

export const alerts: Answer = async (client, question, out, format) => {
  const writer = new RowWriter(out, format, [
    'number',
    'device',
    'rule',
    'state',
    'severity',
    'series',
    'value',
    'started',
    'at',
    'late',
    'incident',
    'labels',
    'annotations',
  ]);
  await paged(async (pageToken) => {
    const { device, firingOnly } = question;
    const request = { device, range: rangeOf(question), firingOnly, pageSize: PAGE_SIZE, pageToken };
    const page = await ask<ListAlertsResponse>((done) => client.listAlerts(request, done));
    await writer.write(
      page.alerts.map((alert) => ({
        number: alert.number,
        device: alert.device,
        rule: alert.rule,
        state: word(AlertState[alert.state]),
        severity: alert.severity,
        series: alert.seriesName,
        value: alert.value,
        started: formatUs(alert.startedAtUs),
        at: formatUs(alert.transitionAtUs),
        late: alert.late,
        incident: Buffer.from(alert.incidentId).toString('hex'),
        labels: alert.labels,
        annotations: alert.annotations,
      })),
    );
    return page.nextPageToken;
  });
  await writer.end();
};

async function paged(page: (token: string) => Promise<string>): Promise<void> {
  let token = '';
  do {
    token = await page(token);
  } while (token !== '');
}

function readingRows(message: QueryReadingsResponse): Row[] {
  const { offsets, unitExponent, values, strings, quality } = message;
  const base = BigInt(message.baseTime);
  const type = message.series?.type ?? ValueType.DOUBLE;
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const cells = seriesCells(message.series);
  return offsets.map((offset, index) => ({
    ...cells,
    time: formatInstant(base + BigInt(offset), unitExponent),
    value: type === ValueType.STRING ? (strings[index] ?? '') : typedValue(view.getFloat64(index * 8, true), type),
    clock: word(TimeQuality[quality[quality.length === 1 ? 0 : index] ?? 0]),
  }));
}

function typedValue(value: number, type: ValueType): Cell {
  return type === ValueType.BOOLEAN ? value !== 0 : value;
}

function seriesCells(of: Series | undefined): Record<'device' | 'series' | 'unit' | 'labels', Cell> {
  return { device: of?.device ?? '', series: of?.name ?? '', unit: of?.unit ?? '', labels: of?.labels ?? {} };
}

function rangeOf({ fromUs, untilUs }: Question) {
  return fromUs === 0 && untilUs === 0 ? undefined : { fromUs, untilUs };
}

function word(name: string | undefined): string {
  return (name ?? 'unknown').toLowerCase().replaceAll('_', '-');
}
