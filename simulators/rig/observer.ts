import type { ServiceError } from '@grpc/grpc-js';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles, type TlsFiles } from '@tributary/core/identity/tls-files';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import {
  type AuditResponse,
  type Device,
  type EpochAudit,
  type ListAlertsResponse,
  type ListDevicesResponse,
  type QueryReadingsResponse,
  type QueryRollupsResponse,
  QueryServiceClient,
} from '@tributary/proto/gen/tributary/v1/query';
import type { SeriesReadings } from '../replay/csv-table.js';

/** A series as the collector answers it; of a series of strings the values are empty, and the other way round. */
export interface StoredSeries extends SeriesReadings {
  strings: string[];
  /** TimeQuality of each. */
  quality: number[];
}

/** An audit in sums over the epochs of all devices that it was asked for, in readings. */
export interface AuditSums {
  epochs: number;
  produced: number;
  stored: number;
  /** Exactly so many. */
  declared: number;
  /** At the most so many: what a crash of the agent may have taken, counted as produced in full. */
  bounded: number;
  missing: number;
  doubled: number;
  duplicatesDropped: number;
  waiting: number;
}

/** Asks a collector's QueryService with a certificate of one's choice, past any bad link that agents have. */
export class Observer {
  readonly #client: QueryServiceClient;

  constructor(port: number, files: TlsFiles) {
    this.#client = new QueryServiceClient(`127.0.0.1:${port}`, clientCredentials(loadTlsFiles(files)), {
      // Collectors of these tests are killed and come back; the default waits up to two minutes by then.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  async audit(device = ''): Promise<EpochAudit[]> {
    return (await answer<AuditResponse>((done) => this.#client.audit({ device }, done))).epochs;
  }

  async sums(device = ''): Promise<AuditSums> {
    const epochs = await this.audit(device);
    const sum = (of: (epoch: EpochAudit) => number) => epochs.reduce((total, epoch) => total + of(epoch), 0);
    return {
      epochs: epochs.length,
      produced: sum((epoch) => epoch.produced),
      stored: sum((epoch) => epoch.stored),
      declared: sum((epoch) =>
        epoch.declared.reduce((total, { readings, bound }) => total + (bound ? 0 : readings), 0),
      ),
      bounded: sum((epoch) => epoch.declared.reduce((total, { readings, bound }) => total + (bound ? readings : 0), 0)),
      missing: sum((epoch) => epoch.missing),
      doubled: sum((epoch) => epoch.doubled),
      duplicatesDropped: sum((epoch) => epoch.duplicatesDropped),
      waiting: sum((epoch) => epoch.waiting),
    };
  }

  /** Transitions in order of their numbers. */
  async alerts(device: string): Promise<Alert[]> {
    const request = { device, range: undefined, firingOnly: false, pageSize: 1000, pageToken: '' };
    const { alerts } = await answer<ListAlertsResponse>((done) => this.#client.listAlerts(request, done));
    return alerts.sort((a, b) => a.number - b.number);
  }

  /** All readings of a device, by name of the series; times in microseconds since the Unix epoch. */
  async readings(device: string): Promise<Map<string, StoredSeries>> {
    const found = new Map<string, StoredSeries>();
    const pages = this.#client.queryReadings({ device, name: '', range: { fromUs: 0, untilUs: 0 }, limit: 0 });
    for await (const page of pages as AsyncIterable<QueryReadingsResponse>) {
      const name = page.series!.name;
      const series = found.get(name) ?? { timesUs: [], values: [], strings: [], quality: [] };
      found.set(name, series);
      const base = BigInt(page.baseTime);
      for (const offset of page.offsets) series.timesUs.push(microseconds(base + BigInt(offset), page.unitExponent));
      const view = new DataView(page.values.buffer, page.values.byteOffset, page.values.byteLength);
      for (let at = 0; at < page.values.length; at += 8) series.values.push(view.getFloat64(at, true));
      series.strings.push(...page.strings);
      const whole = page.quality.length === 1 ? page.quality[0]! : undefined;
      for (const at of page.offsets.keys()) series.quality.push(whole ?? page.quality[at]!);
    }
    return found;
  }

  async devices(): Promise<Device[]> {
    const request = { pageSize: 1000, pageToken: '' };
    return (await answer<ListDevicesResponse>((done) => this.#client.listDevices(request, done))).devices;
  }

  /** How many readings the minute rollups of a device have counted. */
  async readingsInRollups(device: string): Promise<number> {
    let count = 0;
    const request = { device, name: '', range: { fromUs: 0, untilUs: 0 }, stepSeconds: 60 };
    for await (const { rollups } of this.#client.queryRollups(request) as AsyncIterable<QueryRollupsResponse>) {
      for (const rollup of rollups) count += rollup.count;
    }
    return count;
  }

  close(): void {
    this.#client.close();
  }
}

/** Times in units of 10^-exponent s as microseconds; what is finer than that has no place in a table of microseconds. */
function microseconds(time: bigint, exponent: number): number {
  if (exponent <= 6) return Number(time) * 10 ** (6 - exponent);
  const unit = 10n ** BigInt(exponent - 6);
  return time % unit === 0n ? Number(time / unit) : Number.NaN;
}

/** How many readings there are in what `Observer.readings` has answered. */
export function countReadings(found: ReadonlyMap<string, StoredSeries>): number {
  let count = 0;
  for (const { timesUs } of found.values()) count += timesUs.length;
  return count;
}

function answer<T>(call: (done: (error: ServiceError | null, response: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}
