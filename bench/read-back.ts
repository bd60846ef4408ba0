import type { ServiceError } from '@grpc/grpc-js';
import { type ClientMaterial, clientCredentials } from '@tributary/core/identity/client-credentials';
import {
  type EpochAudit,
  type QueryReadingsResponse,
  type QueryRollupsResponse,
  QueryServiceClient,
} from '@tributary/proto/gen/tributary/v1/query';
import type { SeriesReadings } from '@tributary/simulators/replay/csv-table';

const ALL_TIME = { fromUs: 0, untilUs: 0 };

/** Asks a collector for what it has stored, so that a trial can prove what it measured. */
export class ReadBack {
  private readonly client: QueryServiceClient;

  constructor(port: number, operator: ClientMaterial) {
    this.client = new QueryServiceClient(`127.0.0.1:${port}`, clientCredentials(operator));
  }

  audit(): Promise<EpochAudit[]> {
    return new Promise((resolve, reject) => {
      this.client.audit({ device: '' }, (error: ServiceError | null, answer) =>
        error === null ? resolve(answer.epochs) : reject(error),
      );
    });
  }

  /** All readings of a device's series, by name of the series; times in microseconds since the Unix epoch. */
  async readings(device: string): Promise<Map<string, SeriesReadings>> {
    const found = new Map<string, SeriesReadings>();
    const pages = this.client.queryReadings({ device, name: '', range: ALL_TIME, limit: 0 });
    for await (const page of pages as AsyncIterable<QueryReadingsResponse>) {
      const name = page.series!.name;
      let series = found.get(name);
      if (series === undefined) {
        series = { timesUs: [], values: [] };
        found.set(name, series);
      }
      const view = new DataView(page.values.buffer, page.values.byteOffset, page.values.byteLength);
      const base = BigInt(page.baseTime);
      for (const [at, offset] of page.offsets.entries()) {
        series.timesUs.push(microseconds(base + BigInt(offset), page.unitExponent));
        series.values.push(view.getFloat64(at * 8, true));
      }
    }
    return found;
  }

  /** How many readings the minute rollups of a device have counted. */
  async readingsInRollups(device: string): Promise<number> {
    let count = 0;
    const pages = this.client.queryRollups({ device, name: '', range: ALL_TIME, stepSeconds: 60 });
    for await (const { rollups } of pages as AsyncIterable<QueryRollupsResponse>) {
      for (const rollup of rollups) count += rollup.count;
    }
    return count;
  }

  close(): void {
    this.client.close();
  }
}

/** Times in units of 10^-exponent s as microseconds; what is finer than that is no time of a table. */
function microseconds(time: bigint, exponent: number): number {
  if (exponent <= 6) return Number(time) * 10 ** (6 - exponent);
  const unit = 10n ** BigInt(exponent - 6);
  return time % unit === 0n ? Number(time / unit) : Number.NaN;
}
