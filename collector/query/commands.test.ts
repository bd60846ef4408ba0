import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { parseConfig } from '@tributary/core/config/load-config';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { createLogger } from '@tributary/core/log/logger';
import { QueryServiceClient } from '@tributary/proto/gen/tributary/v1/query';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from '../collector.js';
import { collectorSchema } from '../config/schema.js';
import { createCa, issueDevice, issueOperator, issueServer } from '../identity/pki.js';
import { readingsBatch, TestDevice } from '../rules/test-device.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';

const bin = fileURLToPath(new URL('../../bin/tributary-collector.mjs', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'tributary-commands-'));
const storePath = join(root, 'collector.db');
const pki = { dir: join(root, 'pki'), days: 30, nowMs: Date.now() };
const START = Date.UTC(2026, 2, 1) / 1000;

let collector: Collector;
let configFile: string;
let operator: string[];
let device: { ca: string; cert: string; key: string };

beforeAll(async () => {
  const store = await SqliteStore.open({ path: storePath });
  for (const name of ['kiln', 'oven']) {
    const one = await new TestDevice(store, name).register();
    await one.commit([
      one.item(
        readingsBatch([
          [START, 20.5],
          [START + 1, 90],
          [START + 65, -0],
        ]),
      ),
    ]);
  }
  await store.close();
  const ca = await createCa({ ...pki, trustDomain: 'example.org' });
  const server = await issueServer({ ...pki, hosts: ['127.0.0.1'] });
  const ada = await issueOperator({ ...pki, name: 'ada' });
  const kiln = await issueDevice({ ...pki, device: 'kiln' });
  device = { ca: ca.cert, cert: kiln.cert, key: kiln.key };
  writeFileSync(join(root, 'rules.yaml'), 'rules:\n  - { name: hot, select: { name: temperature }, above: 80 }\n');
  configFile = join(root, 'collector.yaml');
  const config = `
listen: 127.0.0.1:0
tls: { ca: ${ca.cert}, cert: ${server.cert}, key: ${server.key} }
trustDomain: example.org
store: { sqlite: { path: ${storePath} } }
rules: rules.yaml
health: { listen: 127.0.0.1:0 }
log: { level: silent }
`;
  writeFileSync(configFile, config);
  collector = await startCollector(parseConfig(config, configFile, collectorSchema), {
    logger: createLogger('t', 'silent'),
  });
  operator = [
    '--address',
    `127.0.0.1:${collector.address.port}`,
    '--ca',
    ca.cert,
    '--cert',
    ada.cert,
    '--key',
    ada.key,
  ];
});

afterAll(async () => {
  await collector.stop();
  rmSync(root, { recursive: true, force: true });
});

function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the query commands', () => {
  it('print devices, series, readings, rollups and alerts', async () => {
    const devices = await run('query', 'devices', ...operator, '--format', 'json');
    expect(lines(devices.out).map(({ device: name, readings }) => [name, readings])).toEqual([
      ['kiln', 3],
      ['oven', 3],
    ]);
    const series = await run('query', 'series', ...operator, '--device', 'k*', '--series', 'temp*', '--format', 'json');
    expect(lines(series.out)).toMatchObject([
      { device: 'kiln', series: 'temperature', unit: 'Cel', labels: { room: 'a' }, type: 'double' },
    ]);
    const readings = await run('query', 'readings', ...operator, '--device', 'kiln', '--format', 'csv');
    expect(readings.out.split('\r\n')).toEqual([
      'device,series,unit,labels,time,value,clock',
      'kiln,temperature,Cel,room=a,2026-03-01T00:00:00.000Z,20.5,synchronized',
      'kiln,temperature,Cel,room=a,2026-03-01T00:00:01.000Z,90,synchronized',
      'kiln,temperature,Cel,room=a,2026-03-01T00:01:05.000Z,-0,synchronized',
      '',
    ]);
    const rollups = await run(
      'query',
      'rollups',
      ...operator,
      '--device',
      'kiln',
      '--step',
      '3600',
      '--format',
      'json',
    );
    expect(lines(rollups.out)).toMatchObject([
      { start: '2026-03-01T00:00:00.000000Z', count: 3, min: 0, max: 90, first: 20.5 },
    ]);
    const alerts = await run('query', 'alerts', ...operator, '--device', 'oven');
    expect(alerts.out).toMatch(/^number +device +rule +state/);
    expect(alerts.out).toMatch(/1 +oven +hot +firing[\s\S]*2 +oven +hot +resolved/);
  });

  it('prove by an audit that nothing is missing, asking or offline', async () => {
    const asked = await run('audit', ...operator);
    expect(asked.out).toMatch(/OK: produced 6 = stored 6 \+ declared 0; nothing missing, nothing doubled\n$/);
    expect(asked.code).toBe(0);
    const held = await run('audit', '--store', storePath);
    expect(held.code).toBe(1);
    expect(held.err).toMatch(/another collector has/);
    const absent = await run('audit', '--store', join(root, 'absent.db'));
    expect(absent.err).toMatch(/there is no store/);
  });

  it('say what is wrong with a question', async () => {
    const nobody = await run('query', 'readings', ...operator, '--device', 'nobody');
    expect(nobody.err).toMatch(/there is no device nobody/);
    const steps = await run('query', 'rollups', ...operator, '--device', 'kiln', '--step', '61');
    expect(steps.err).toMatch(/a multiple of 60 is needed/);
    const alone = await run('query', 'devices');
    expect(alone.code).toBe(2);
    expect(alone.err).toMatch(/write --address/);
    for (const { err } of [nobody, steps, alone]) expect(err).not.toMatch(/\bat .*\.js/);
  });

  it('let a device read itself and nobody else', async () => {
    const client = new QueryServiceClient(
      `127.0.0.1:${collector.address.port}`,
      clientCredentials(loadTlsFiles(device)),
    );
    const request = { device: '', name: '', pageSize: 0, pageToken: '' };
    const listed = await new Promise<string[]>((resolve, reject) => {
      client.listSeries(request, (error, response) =>
        error === null ? resolve(response.series.map((one) => one.device)) : reject(error),
      );
    });
    expect(new Set(listed)).toEqual(new Set(['kiln']));
    const stream = client.queryReadings({ device: 'oven', name: '', range: undefined, limit: 0 });
    const ended = await new Promise<number>((resolve) =>
      stream.on('error', (error: { code?: number }) => resolve(error.code ?? -1)).resume(),
    );
    expect(ended).toBe(status.PERMISSION_DENIED);
    client.close();
  });
});

describe('a backup', () => {
  it('is made beside a collector that runs, and not put back over its store', async () => {
    const copy = join(root, 'copies', 'collector.db');
    expect(await run('backup', '--config', configFile, '--to', copy)).toEqual({
      code: 0,
      out: `${copy}: OK: produced 6 = stored 6 + declared 0; nothing missing, nothing doubled\n`,
      err: '',
    });
    const refused = await run('restore', '--config', configFile, '--from', copy);
    expect(refused.code).toBeGreaterThan(0);
    expect(refused.err).toContain(`${storePath} is there; move it aside`);
    const elsewhere = join(root, 'restored.yaml');
    writeFileSync(elsewhere, readFileSync(configFile, 'utf8').replace(storePath, join(root, 'restored.db')));
    expect((await run('restore', '--config', elsewhere, '--from', copy)).code).toBe(0);
    const audit = await run('audit', '--store', join(root, 'restored.db'), '--json');
    expect(lines(audit.out)).toMatchObject([{ ok: true, totals: { produced: 6, stored: 6 } }]);
  });
});

describe('a stopped collector', () => {
  it('can be audited and its rollups rebuilt', async () => {
    await collector.stop();
    const rebuilt = await run('rebuild-rollups', '--config', configFile);
    expect(rebuilt).toMatchObject({ code: 0, err: '' });
    const audit = await run('audit', '--store', storePath, '--device', 'kiln', '--json');
    expect(lines(audit.out)).toMatchObject([{ ok: true, totals: { produced: 3, stored: 3, missing: 0 } }]);
    const store = await SqliteStore.open({ path: storePath });
    const [series] = await store.listSeries(1);
    expect((await store.readRollups(1, series!.seriesId, 60, 0, 9e15)).length).toBe(2);
    await store.close();
  });
});
