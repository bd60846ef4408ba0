import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Scheduler } from '@tributary/core/clock/clock';
import type { Identity } from '@tributary/core/identity/spiffe-id';
import { glob } from '@tributary/core/rules/glob';
import type {
  Device,
  QueryReadingsRequest,
  QueryRollupsRequest,
  QueryServiceServer,
  Series,
} from '@tributary/proto/gen/tributary/v1/query';
import type { Logger } from 'pino';
import { CallStream } from '../alerts/call-stream.js';
import { CallError, statusOf } from '../server/call-error.js';
import type { AuthenticatedCall } from '../server/caller.js';
import { unary } from '../server/unary.js';
import type { Store, StoredSeries } from '../store/store.js';
import { isAllTime, pageLimit, span, tokenNumbers } from './page.js';
import { deviceReference, type NamedDevice, ReadScope } from './read-scope.js';
import { queryReadings } from './readings.js';
import { queryRollups } from './rollup-steps.js';

export interface QueryServiceOptions {
  store: Store;
  /** Who calls, from the certificate; throws a `CallError` for nobody. */
  identityOf: (call: AuthenticatedCall) => Identity;
  scheduler: Scheduler;
  logger: Logger;
}

/** Reading what is stored: operators read every device, a device itself. */
export function queryService(options: QueryServiceOptions): QueryServiceServer {
  const { store, scheduler, logger } = options;
  const scopeOf = (call: AuthenticatedCall) => new ReadScope(store, options.identityOf(call));

  return {
    listDevices: unary('listing devices', logger, async (call) => {
      const scope = scopeOf(call);
      const { pageSize, pageToken } = call.request;
      if (scope.own !== undefined) {
        const { deviceId } = await scope.one('');
        return { devices: (await store.listDevices(deviceId - 1, 1)).map(withoutId), nextPageToken: '' };
      }
      const limit = pageLimit(pageSize);
      const devices = await store.listDevices(tokenNumbers(pageToken, 1)[0]!, limit);
      const last = devices.length < limit ? undefined : devices.at(-1);
      return { devices: devices.map(withoutId), nextPageToken: last === undefined ? '' : String(last.deviceId) };
    }),

    listSeries: unary('listing series', logger, async (call) => {
      const scope = scopeOf(call);
      const { device, name, pageSize, pageToken } = call.request;
      const limit = pageLimit(pageSize);
      const [firstDevice, afterSeries] = tokenNumbers(pageToken, 2);
      const series: Series[] = [];
      for await (const found of scope.matching(device, firstDevice!)) {
        for (const one of await seriesOf(store, found, name)) {
          if (found.deviceId === firstDevice && one.id <= afterSeries!) continue;
          if (series.length === limit) {
            const last = series[limit - 1]!;
            return { series, nextPageToken: `${await idOf(scope, last.device)}:${last.id}` };
          }
          series.push(one);
        }
      }
      return { series, nextPageToken: '' };
    }),

    queryReadings: streaming('reading readings', scheduler, logger, async function* (call) {
      const { device, name, range, limit }: QueryReadingsRequest = call.request;
      const found = await scopeOf(call).one(device);
      const series = new Map((await seriesOf(store, found, name)).map((one) => [one.id, one]));
      yield* queryReadings(store, { deviceId: found.deviceId, ...span(range), limit, series });
    }),

    queryRollups: streaming('reading rollups', scheduler, logger, async function* (call) {
      const { device, name, range, stepSeconds }: QueryRollupsRequest = call.request;
      if (stepSeconds === 0 || stepSeconds % 60 !== 0) {
        throw new CallError('invalid', `step_seconds: ${stepSeconds}; a multiple of 60 is needed`);
      }
      const found = await scopeOf(call).one(device);
      for (const series of await seriesOf(store, found, name)) {
        yield* queryRollups(store, { deviceId: found.deviceId, series, ...span(range), stepSeconds });
      }
    }),

    listAlerts: unary('listing alerts', logger, async (call) => {
      const { device, range, firingOnly, pageSize, pageToken } = call.request;
      const found = await scopeOf(call).oneOrAll(device);
      const filter = {
        firingOnly,
        ...(found === undefined ? {} : { deviceId: found.deviceId }),
        ...(isAllTime(range) ? {} : { range: span(range) }),
      };
      const { alerts, next } = await store.listAlerts(filter, tokenNumbers(pageToken, 1)[0]!, pageLimit(pageSize));
      return { alerts, nextPageToken: next === 0 ? '' : String(next) };
    }),

    audit: unary('auditing', logger, async (call) => {
      const found = await scopeOf(call).oneOrAll(call.request.device);
      return { epochs: await store.audit(found?.deviceId) };
    }),
  };
}

/** A server stream that a generator fills, at the pace of its reader; it ends when the reader goes. */
function streaming<Request, Response>(
  doing: string,
  scheduler: Scheduler,
  logger: Logger,
  answer: (call: ServerWritableStream<Request, Response>) => AsyncGenerator<Response>,
): (call: ServerWritableStream<Request, Response>) => void {
  return (call) => {
    const stream = new CallStream(call, scheduler);
    const run = async () => {
      for await (const message of answer(call)) {
        await stream.write(message);
        if (stream.ended) return;
      }
    };
    run().then(
      () => call.end(),
      (error: unknown) => call.emit('error', statusOf(error, doing, logger)),
    );
  };
}

/** Series of a device whose name matches; empty is all. */
async function seriesOf(
  store: Pick<Store, 'listSeries'>,
  { deviceId, name }: NamedDevice,
  pattern: string,
): Promise<Series[]> {
  const matches = glob(pattern === '' ? '*' : pattern);
  const reference = deviceReference(name);
  const all = await store.listSeries(deviceId);
  return all
    .filter((one) => matches(one.name))
    .map((one) => toSeries(one, reference))
    .sort((a, b) => a.id - b.id);
}

function toSeries({ seriesId, name, unit, labels, type }: StoredSeries, device: string): Series {
  return { id: seriesId, device, name, unit, labels, type };
}

async function idOf(scope: ReadScope, reference: string): Promise<number> {
  return (await scope.one(reference)).deviceId;
}

function withoutId({ deviceId: _, ...device }: Device & { deviceId: number }): Device {
  return device;
}
