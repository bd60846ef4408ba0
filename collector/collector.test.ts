import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { Client, type ServiceError, status } from '@grpc/grpc-js';
import { parseConfig } from '@tributary/core/config/load-config';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { createLogger } from '@tributary/core/log/logger';
import { AlertServiceClient, AlertState, type WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import {
  DeviceServiceClient,
  type RegisterRequest,
  type RegisterResponse,
} from '@tributary/proto/gen/tributary/v1/device';
import { type EpochAudit, QueryServiceClient } from '@tributary/proto/gen/tributary/v1/query';
import { ClockState, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import {
  DeferralReason,
  ItemKind,
  LossDeclaration,
  LossReason,
  TelemetryServiceService,
  type UploadHeader,
  UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { service as healthService } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from './collector.js';
import { collectorSchema } from './config/schema.js';
import { createCa, issueDevice, issueOperator, issueServer } from './identity/pki.js';
import { batchBody, item, uploadHeader } from './ingest/ingest-fixture.js';
import { SqliteStore } from './store/sqlite/sqlite-store.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-collector-'));
const pki = { dir: join(root, 'pki'), days: 30, nowMs: Date.now() };
const configText = `
listen: 127.0.0.1:0
tls: { ca: pki/ca.pem, cert: CERT, key: KEY }
trustDomain: example.org
store: { sqlite: { path: data/collector.db } }
rules: rules.yaml
health: { listen: 127.0.0.1:0 }
log: { level: silent }
`;

let collector: Collector;
let configured: string;
const clients: Client[] = [];
const credentials = new Map<string, ReturnType<typeof clientCredentials>>();
const logger = createLogger('test', 'silent');

beforeAll(async () => {
  const ca = await createCa({ ...pki, trustDomain: 'example.org' });
  const server = await issueServer({ ...pki, hosts: ['localhost', '127.0.0.1'] });
  for (const issued of [
    await issueDevice({ ...pki, device: 'pump' }),
    await issueDevice({ ...pki, device: 'valve', tenant: 'acme' }),
    await issueOperator({ ...pki, name: 'ada' }),
  ]) {
    const name = issued.id.split('/').at(-1) as string;
    credentials.set(name, clientCredentials(loadTlsFiles({ ca: ca.cert, cert: issued.cert, key: issued.key })));
  }
  writeFileSync(join(root, 'rules.yaml'), 'rules:\n  - { name: hot, select: { name: temperature }, above: 80 }\n');
  configured = configText.replace('CERT', server.cert).replace('KEY', server.key);
  collector = await start();
});

afterAll(async () => {
  for (const client of clients) client.close();
  await collector.stop();
  rmSync(root, { recursive: true, force: true });
});

const start = () => startCollector(parseConfig(configured, join(root, 'collector.yaml'), collectorSchema), { logger });

function clientOf(name: string): Client {
  const channel = credentials.get(name);
  if (channel === undefined) throw new Error(`no certificate for ${name}`);
  const client = new Client(`127.0.0.1:${collector.address.port}`, channel);
  clients.push(client);
  return client;
}

const series = { id: 1, name: 'temperature', unit: 'Cel', labels: { room: 'a' }, type: ValueType.DOUBLE };

function registration(epoch: Uint8Array, changes: Partial<RegisterRequest> = {}): RegisterRequest {
  const segment = {
    id: 1,
    bootId: 'b',
    offsetUs: 0,
    observedAtUs: 0,
    uncertaintyUs: 0,
    state: ClockState.UNSYNCHRONIZED,
  };
  return {
    startId: randomBytes(16),
    agentVersion: '0.1.0',
    epochs: [{ epoch, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
    series: [series],
    segments: [segment],
    monotonicUs: 5_000_000,
    segment: 1,
    attributes: { site: 'north' },
    anchors: [],
    rulesVersion: '',
    ...changes,
  };
}

function registerAs(name: string, request: RegisterRequest): Promise<RegisterResponse> {
  const { register } = DeviceServiceClient.service;
  return new Promise((resolve, reject) => {
    clientOf(name).makeUnaryRequest(
      register.path,
      register.requestSerialize,
      register.responseDeserialize,
      request,
      (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
    );
  });
}

/** One upload: each entry is a message's items, the header goes with the first. */
function uploadAs(name: string, header: UploadHeader | undefined, messages: Item[][]): Promise<UploadResponse> {
  return new Promise((resolve, reject) => {
    const call = clientOf(name).makeClientStreamRequest(
      TelemetryServiceService.upload.path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => UploadResponse.decode(bytes),
      (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
    );
    messages.forEach((items, at) => {
      call.write(encodeUploadMessage(at === 0 ? header : undefined, items));
    });
    call.end();
  });
}

const statusOfCall = async (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => status.OK,
    (error: ServiceError) => error.code,
  );

describe('a collector', () => {
  it('registers a device, stores what it uploads, and has it after a restart', async () => {
    const epoch = randomBytes(16);
    const before = Date.now() * 1000;
    const answer = await registerAs('pump', registration(epoch));
    expect(answer).toMatchObject({ seriesKnown: 1, segmentsKnown: 1, alertCursor: 0 });
    expect(answer.receivedAtUs).toBeGreaterThanOrEqual(before);
    expect(answer.durable).toMatchObject([{ ranges: [], highestSequence: 0 }]);
    const header = uploadHeader({ epoch, fencingToken: answer.fencingToken, readingsProduced: 600 });
    const items = Array.from({ length: 200 }, (_, at) =>
      item(at + 1, batchBody([at, at + 0.5, at + 0.25], { startUs: at * 3000 }), {}, epoch),
    );
    const stored = await uploadAs('pump', header, [items.slice(0, 80), items.slice(80, 81), items.slice(81)]);
    expect(stored).toMatchObject({ durable: [{ first: 1, last: 200 }], rejected: [], later: [], forked: [] });
    const again = await uploadAs('pump', header, [items.slice(190)]);
    expect(again.durable).toEqual([{ first: 191, last: 200 }]);

    await collector.stop();
    const store = await SqliteStore.open({ path: join(root, 'data/collector.db') });
    const [audit] = await store.audit(undefined);
    expect(audit).toMatchObject({
      device: 'pump',
      produced: 600,
      stored: 600,
      missing: 0,
      doubled: 0,
      duplicatesDropped: 10,
    });
    const deviceId = (await store.findDevice({ tenant: '', device: 'pump' })) as number;
    expect(await store.undigested()).toEqual([]);
    const [{ seriesId }] = await store.listSeries(deviceId);
    const rollups = await store.readRollups(deviceId, seriesId, 60, 0, before + 10 ** 9);
    expect(rollups.count.subarray(0, rollups.length).reduce((sum, count) => sum + count, 0)).toBe(600);
    await store.close();

    collector = await start();
    const epochs = [{ epoch, highestSequence: 200, readingsProduced: 600, itemsWaiting: 0, readingsWaiting: 0 }];
    const back = await registerAs('pump', registration(epoch, { epochs, series: [], segments: [] }));
    expect(back.durable).toMatchObject([{ ranges: [{ first: 1, last: 200 }], highestSequence: 200 }]);
    expect(back.durable[0].highestChecksum).toBe(items[199].checksum);
    expect(back.fencingToken).toBeGreaterThan(answer.fencingToken);
    const old = await uploadAs('pump', header, [items.slice(0, 1)]);
    expect(old.later[0]?.reason).toBe(DeferralReason.REGISTER_AGAIN);
  });

  it('takes what a device declares of an epoch that it gave up, and counts it there', async () => {
    const [old, next] = [randomBytes(16), randomBytes(16)];
    const first = await registerAs('pump', registration(old));
    const header = uploadHeader({ epoch: old, fencingToken: first.fencingToken });
    await uploadAs('pump', header, [[item(1, batchBody([1, 2, 3]), {}, old)]]);
    const { fencingToken } = await registerAs('pump', registration(next));
    const entry = { epoch: old, first: 2, last: 4, readings: 9, bound: false, reason: LossReason.CORRUPT };
    const body = LossDeclaration.encode({ entries: [entry] }).finish();
    const declaration = item(1, body, { kind: ItemKind.DECLARATION, readings: 0 }, next);
    const { durable } = await uploadAs('pump', uploadHeader({ epoch: next, fencingToken }), [[declaration]]);
    expect(durable).toEqual([{ first: 1, last: 1 }]);
    const { audit } = QueryServiceClient.service;
    const epochs = await new Promise<EpochAudit[]>((resolve, reject) => {
      clientOf('pump').makeUnaryRequest(
        audit.path,
        audit.requestSerialize,
        audit.responseDeserialize,
        { device: '' },
        (error, response) => (error === null && response !== undefined ? resolve(response.epochs) : reject(error)),
      );
    });
    expect(epochs.find(({ epoch }) => old.equals(epoch))).toMatchObject({
      produced: 12,
      stored: 3,
      declared: [{ reason: LossReason.CORRUPT, readings: 9, bound: false }],
      missing: 0,
    });
  });

  it('stores nothing of a device under the name of another', async () => {
    const epoch = randomBytes(16);
    const { fencingToken } = await registerAs('pump', registration(epoch));
    const items = [item(1, batchBody([1, 2, 3]), {}, epoch)];
    const foreign = await uploadAs('valve', uploadHeader({ epoch, fencingToken }), [items]);
    expect(foreign.durable).toEqual([]);
    expect(foreign.later[0]?.reason).toBe(DeferralReason.REGISTER_AGAIN);
  });

  it('takes uploads of devices only', async () => {
    expect(await statusOfCall(uploadAs('ada', uploadHeader(), [[]]))).toBe(status.PERMISSION_DENIED);
    expect(await statusOfCall(registerAs('ada', registration(randomBytes(16))))).toBe(status.PERMISSION_DENIED);
  });

  it('answers a stream without a header, and a wrong registration, with what is wrong', async () => {
    expect(await statusOfCall(uploadAs('pump', undefined, [[]]))).toBe(status.INVALID_ARGUMENT);
    const wrong = registration(randomBytes(16), { series: [{ ...series, name: '' }] });
    await expect(registerAs('pump', wrong)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: 'series.name: empty; a text is needed',
    });
  });

  it('refuses another catalogue under a known id, so that a copied buffer opens a new epoch', async () => {
    const epoch = randomBytes(16);
    await registerAs('pump', registration(epoch));
    const other = registration(epoch, { series: [{ ...series, name: 'pressure' }] });
    expect(await statusOfCall(registerAs('pump', other))).toBe(status.FAILED_PRECONDITION);
  });

  it('sends an alert to the device that watches, and ends the watch when it stops', async () => {
    const epoch = randomBytes(16);
    const { fencingToken, alertCursor } = await registerAs('valve', registration(epoch));
    const { watchAlerts } = AlertServiceClient.service;
    const watch = clientOf('valve').makeServerStreamRequest(
      watchAlerts.path,
      watchAlerts.requestSerialize,
      watchAlerts.responseDeserialize,
      { cursor: alertCursor },
    );
    const first = new Promise<WatchAlertsResponse>((resolve, reject) => {
      watch.once('data', resolve);
      watch.once('error', reject);
    });
    const ended = new Promise<number>((resolve) => {
      watch.once('status', ({ code }) => resolve(code));
    });
    const items = [item(1, batchBody([20, 95, 99]), {}, epoch)];
    const { durable } = await uploadAs('valve', uploadHeader({ epoch, fencingToken }), [items]);
    expect(durable).toEqual([{ first: 1, last: 1 }]);
    const { message } = await first;
    expect(message).toMatchObject({
      $case: 'alert',
      value: { number: alertCursor + 1, state: AlertState.FIRING, rule: 'hot', device: 'valve', value: 95 },
    });
    await collector.stop();
    expect(await ended).toBe(status.OK);
    collector = await start();
  });

  it('refuses certificates that are not those of a collector', async () => {
    const { cert, key } = await issueDevice({ ...pki, device: 'impostor' });
    const text = configText.replace('CERT', cert).replace('KEY', key);
    const config = parseConfig(text, join(root, 'collector.yaml'), collectorSchema);
    await expect(startCollector(config, { logger })).rejects.toThrow('it names a device, and a collector is needed');
  });

  it('lists its services to whoever asks by reflection', async () => {
    const list = Buffer.from([0x3a, 1, 0x2a]);
    const call = clientOf('ada').makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    const answer = new Promise<Buffer>((resolve, reject) => {
      call.once('data', resolve);
      call.once('error', reject);
    });
    call.write(list);
    const text = (await answer).toString('latin1');
    call.end();
    expect(text).toContain('tributary.v1.TelemetryService');
    expect(text).toContain('tributary.v1.QueryService');
  });

  it('tells probes, Prometheus and gRPC health how it is', async () => {
    const { host, port } = collector.healthAddress;
    const get = async (path: string) => {
      const response = await fetch(`http://${host}:${port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    expect(await get('/healthz')).toMatchObject({ status: 200 });
    expect(await get('/readyz')).toMatchObject({ status: 200 });
    expect(await get('/other')).toMatchObject({ status: 404 });
    expect((await get('/metrics')).text).toMatch(
      /^tributary_collector_rejected_total|tributary_collector_commits_total \d+/m,
    );
    const { Check } = healthService;
    const health = await new Promise((resolve, reject) => {
      clientOf('pump').makeUnaryRequest(
        Check.path,
        Check.requestSerialize,
        Check.responseDeserialize,
        { service: 'tributary.v1.TelemetryService' },
        (error, response) => (error === null ? resolve(response) : reject(error)),
      );
    });
    expect(health).toEqual({ status: 'SERVING' });
  });

  it('says that it cannot go on when a thread of its store ends, and stops all the same', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    const text = configured.replace('data/', 'other/');
    const other = await startCollector(parseConfig(text, join(root, 'collector.yaml'), collectorSchema), { logger });
    process.off('worker', note);
    expect(threads.length).toBeGreaterThan(0);
    await threads[0]?.terminate();
    expect((await other.failed).message).toContain('thread of the store');
    await other.stop();
    await expect(fetch(`http://127.0.0.1:${other.healthAddress.port}/healthz`)).rejects.toThrow();
  });
});
