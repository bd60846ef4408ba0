import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '@tributary/core/clock/clock';
import { createLogger } from '@tributary/core/log/logger';
import { IncidentServiceClient, IncidentServiceService } from '@tributary/proto/gen/tributary/v1/incident';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bytes16, register } from '../store/conformance/data.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { ruleStates } from './incident-answers.js';
import { incidentService } from './incident-service.js';
import type { StandingRule } from './rule-states.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-rule-states-'));
const server = new Server();
let store: SqliteStore;
let client: IncidentServiceClient;

const firing: StandingRule = {
  rule: 'hot',
  version: 'v1',
  series: { tenant: '', device: 'kiln', name: 'temperature', unit: 'Cel', labels: { room: 'a' } },
  state: 'firing',
  sinceUs: Date.UTC(2026, 2, 1) * 1000,
  lastUs: Date.UTC(2026, 2, 1, 0, 1) * 1000,
  incidentId: bytes16(1),
};
const inactive: StandingRule = {
  ...firing,
  rule: 'cold',
  state: 'inactive',
  sinceUs: undefined,
  incidentId: undefined,
};

beforeAll(async () => {
  store = await SqliteStore.open({ path: join(folder, 'collector.db') });
  const { deviceId } = await register(store, 'kiln');
  const implementation = incidentService({
    store,
    identityOf: () => ({ kind: 'operator', trustDomain: 'example.org', name: 'ada' }),
    clock: systemClock,
    logger: createLogger('test', 'silent'),
    changed: () => {},
    rules: { ruleStates: (asked) => (asked === deviceId ? [firing, inactive] : []) },
  });
  server.addService(IncidentServiceService, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  client = new IncidentServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  server.forceShutdown();
  await store.close();
  rmSync(folder, { recursive: true });
});

async function printed(rule: string, format: 'json' | 'table'): Promise<string> {
  let text = '';
  const out = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  await ruleStates(client, { device: 'kiln', rule }, out, format);
  return text;
}

it('prints where rules stand, in order', async () => {
  const lines = (await printed('', 'json')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    {
      device: 'kiln',
      rule: 'cold',
      series: 'temperature',
      unit: 'Cel',
      labels: { room: 'a' },
      state: 'inactive',
      since: '',
      last_reading: '2026-03-01T00:01:00.000000Z',
      incident: '',
      version: 'v1',
    },
    expect.objectContaining({
      rule: 'hot',
      state: 'firing',
      since: '2026-03-01T00:00:00.000000Z',
      incident: Buffer.from(bytes16(1)).toString('hex'),
    }),
  ]);
  expect(await printed('h*', 'table')).toMatch(
    /^device +rule +series[^\n]*\nkiln +hot +temperature +Cel +room=a +firing/,
  );
});
