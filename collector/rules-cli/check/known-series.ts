import type { Attributes } from '@tributary/core/rules/selection';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type {
  ListDevicesResponse,
  ListSeriesResponse,
  QueryServiceClient,
} from '@tributary/proto/gen/tributary/v1/query';
import type { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { ask } from '../../query/query-client.js';
import { deviceReference, parseDeviceReference } from '../../query/read-scope.js';
import type { Store } from '../../store/store.js';

/** A series that a collector has, with what rules may select it by. */
export interface KnownSeries {
  identity: SeriesIdentity;
  attributes: Attributes;
  type: ValueType;
}

const PAGE = 350;

/** The series that are in a store. */
export async function* storedSeries(store: Pick<Store, 'listDevices' | 'listSeries'>): AsyncGenerator<KnownSeries> {
  let after = 0;
  for (;;) {
    const page = await store.listDevices(after, PAGE);
    for (const { deviceId, tenant, device, attributes } of page) {
      for (const { name, unit, labels, type } of await store.listSeries(deviceId)) {
        yield { identity: { tenant, device, name, unit, labels }, attributes, type };
      }
    }
    if (page.length < PAGE) return;
    after = page[page.length - 1]!.deviceId;
  }
}

/** The series that a running collector has. */
export async function* askedSeries(client: QueryServiceClient): AsyncGenerator<KnownSeries> {
  const attributes = await askedAttributes(client);
  let pageToken = '';
  do {
    const request = { device: '', name: '', pageSize: PAGE, pageToken };
    const page = await ask<ListSeriesResponse>((done) => client.listSeries(request, done));
    for (const { device, name, unit, labels, type } of page.series) {
      const identity = { ...parseDeviceReference(device), name, unit, labels };
      yield { identity, attributes: attributes.get(device) ?? {}, type };
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

async function askedAttributes(client: QueryServiceClient): Promise<Map<string, Attributes>> {
  const attributes = new Map<string, Attributes>();
  let pageToken = '';
  do {
    const page = await ask<ListDevicesResponse>((done) => client.listDevices({ pageSize: PAGE, pageToken }, done));
    for (const device of page.devices) attributes.set(deviceReference(device), device.attributes);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return attributes;
}
