import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '@tributary/core/config/load-config';
import { createLogger } from '@tributary/core/log/logger';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from '../collector.js';
import { collectorSchema } from '../config/schema.js';
import { createCa, issueOperator, issueServer } from '../identity/pki.js';
import { readingsBatch, TestDevice } from '../rules/test-device.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';

const bin = fileURLToPath(new URL('../../bin/tributary-collector.mjs', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'tributary-rules-'));
const storePath = join(root, 'collector.db');
const configFile = join(root, 'collector.yaml');
const START = Date.UTC(2026, 2, 1) / 1000;

let collector: Collector;
let operator: string[];

const RULES = `rules:
  - { name: hot, select: { name: temperature }, above: 80, clear: 70, for: 20s, severity: critical }
  - { name: cold, select: { name: temperature }, below: 0 }
`;

function file(name: string, text: string): string {
  writeFileSync(join(root, name), text);
  return join(root, name);
}

/** Twenty minutes of readings, ten seconds apart: hot in the minutes 5 and 10, and from minute 19 on. */
function temperatures(): (readonly [number, number])[] {
  return Array.from({ length: 120 }, (_, index) => {
    const minute = Math.trunc(index / 6);
    return [START + index * 10, minute === 5 || minute === 10 || minute >= 19 ? 90 + (index % 6) : 20] as const;
  });
}

beforeAll(async () => {
  const store = await SqliteStore.open({ path: storePath });
  for (const name of ['kiln', 'oven']) {
    const device = await new TestDevice(store, name).register();
    const rows = temperatures().map(([second, value]) => [second, name === 'kiln' ? value : 20] as const);
    for (let from = 0; from < rows.length; from += 7) {
      await device.commit([device.item(readingsBatch(rows.slice(from, from + 7)))]);
    }
  }
  await store.close();
  const pki = { dir: join(root, 'pki'), days: 30, nowMs: Date.now() };
  const ca = await createCa({ ...pki, trustDomain: 'example.org' });
  const server = await issueServer({ ...pki, hosts: ['127.0.0.1'] });
  const ada = await issueOperator({ ...pki, name: 'ada' });
  file('rules.yaml', RULES);
  const config = `
listen: 127.0.0.1:0
tls: { ca: ${ca.cert}, cert: ${server.cert}, key: ${server.key} }
trustDomain: example.org
store: { sqlite: { path: ${storePath} } }
rules: rules.yaml
health: { listen: 127.0.0.1:0 }
log: { level: silent }
`;
  file('collector.yaml', config);
  // Its rules judge what is stored before it serves.
  collector = await startCollector(parseConfig(config, configFile, collectorSchema), {
    logger: createLogger('t', 'silent'),
  });
  const address = `127.0.0.1:${collector.address.port}`;
  operator = ['--address', address, '--ca', ca.cert, '--cert', ada.cert, '--key', ada.key];
});

afterAll(async () => {
  await collector.stop();
  rmSync(root, { recursive: true, force: true });
});

function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, 'rules', ...args], { cwd: root }, (error, out, err) => {
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

const SINCE = ['--since', '2026-03-01T00:00:00Z', '--until', '2026-03-02T00:00:00Z'];

describe('rules check', () => {
  it('sums rules up, and exits with 1 for problems and with 2 for what is no file', async () => {
    const plain = await run('check', 'rules.yaml');
    expect(plain).toMatchObject({ code: 0, err: '' });
    expect(plain.out).toBe(
      [
        'rule  severity  judged by  condition             for  selects',
        'hot   critical  collector  above: 80, clear: 70  20s  name: temperature',
        'cold  warning   collector  below: 0              0s   name: temperature',
        'rules.yaml: 2 rules in order, 0 warnings\n',
      ].join('\n'),
    );
    file('bad.yaml', 'rules:\n  - { name: a, select: { name: x }, abvoe: 1 }\n  - { name: 7, above: x }\n');
    const bad = await run('check', 'bad.yaml');
    expect(bad.code).toBe(1);
    expect(bad.out).toMatch(/^bad\.yaml:2:\d+: rules\[0\]\.abvoe: unknown key; did you mean above\?\n/);
    expect(bad.out).toMatch(/^bad\.yaml:3:13: rules\[1\]\.name: /m);
    expect(bad.out).toMatch(/bad\.yaml: \d problems\n$/);
    expect(await run('check', 'absent.yaml')).toMatchObject({ code: 2, err: expect.stringMatching(/no such file/) });
    expect(await run('check')).toMatchObject({ code: 2, err: expect.stringMatching(/name a file of rules/) });
    expect(await run('check', 'rules.yaml', '--config', 'collector.yaml', '--store', storePath)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/write one of --config, --store/),
    });
    const json = await run('check', 'bad.yaml', '--json');
    expect(json.code).toBe(1);
    expect(lines(json.out)).toMatchObject([{ ok: false, file: 'bad.yaml', problems: [{ line: 2 }, { line: 3 }, {}] }]);
  });

  it('asks the store, also while a collector runs on it, or the collector', async () => {
    const text = `${RULES}  - { name: wet, select: { name: temprature, device: kiln }, above: 1 }\n`;
    file('more.yaml', text);
    const warning =
      'more.yaml:4:34: rules[2].select.name: no known series matches "temprature"; did you mean temperature?';
    for (const source of [['--config', 'collector.yaml'], ['--store', storePath], operator]) {
      const { code, out, err } = await run('check', 'more.yaml', ...source);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^hot .* 2 +2$/m);
      expect(out).toMatch(/^wet .* 0 +0$/m);
      expect(out).toContain(`warnings:\n${warning}\nmore.yaml: 3 rules in order, 1 warning\n`);
    }
    const few = await run('check', '--config', 'collector.yaml', '--series-max', '1');
    expect(few.out).toMatch(/rules\[0\]\.name: it watches 2 series, more than 1; select fewer, or raise --series-max/);
  });
});

describe('rules test', () => {
  it('exits with 1 when a test fails', async () => {
    const text = `rules: rules.yaml
interval: 10s
tests:
  - name: it gets hot
    series: [ { name: temperature, values: '20 90x4 20' } ]
    expect: [ { at: 30s, firing: [ { rule: hot } ] } ]
`;
    file('good.test.yaml', text);
    expect(await run('test', 'good.test.yaml')).toEqual({
      code: 0,
      out: 'ok      it gets hot\n1 passed, 0 failed\n',
      err: '',
    });
    file('bad.test.yaml', text.replace('at: 30s', 'at: 20s'));
    const failed = await run('test', 'good.test.yaml', 'bad.test.yaml');
    expect(failed.code).toBe(1);
    expect(failed.out).toMatch(/^FAILED {2}it gets hot\n {2}what fires at 20s .*\n {4}- hot\n/m);
    expect(failed.out).toMatch(/1 passed, 1 failed\n$/);
    expect((await run('test', 'absent.yaml')).code).toBe(2);
  });
});

describe('rules replay', () => {
  it('finds beside the collector what the collector has found, under the same ids', async () => {
    const { code, out, err } = await run('replay', '--config', 'collector.yaml', ...SINCE, '--against', '--json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const found = lines(out);
    expect(found).toMatchObject([
      {
        type: 'incident',
        rule: 'hot',
        device: 'kiln',
        series: 'temperature',
        started: '2026-03-01T00:05:00.000000Z',
        fired: '2026-03-01T00:05:20.000000Z',
        ended: '2026-03-01T00:06:00.000000Z',
        value: 92,
        really: 'same',
      },
      { type: 'incident', started: '2026-03-01T00:10:00.000000Z', really: 'same' },
      { type: 'incident', started: '2026-03-01T00:19:00.000000Z', ended: '', really: 'same' },
      { type: 'rule', rule: 'hot', incidents: 3, firingNow: 1, series: 1, fired: 3, late: 0, onlyReal: 0 },
      { type: 'rule', rule: 'cold', incidents: 0, firingNow: 0, series: 0 },
      { type: 'total', devices: 2, readings: 240 },
    ]);
  });

  it('says what other rules would have done', async () => {
    file('other.yaml', 'rules:\n  - { name: hot, select: { name: temperature }, above: 80, for: 55s }\n');
    const longer = await run('replay', '--store', storePath, '--rules', 'other.yaml', ...SINCE, '--against');
    expect(longer.code).toBe(0);
    expect(longer.out.split('\n\n')[0]).toMatch(/^rule +severity +device +series +labels +started .* really$/m);
    expect(longer.out).toMatch(/^hot +0 +0 +0 +0s +0 +0 +3$/m);
    expect(longer.out.match(/only real/g)).toHaveLength(4);
    file('other.yaml', 'rules:\n  - { name: hot, select: { name: temperature }, above: 92, for: 20s }\n');
    const later = await run('replay', '--store', storePath, '--rules', 'other.yaml', ...SINCE, '--against', '--json');
    expect(lines(later.out).map(({ really }) => really)).toEqual([
      'overlaps',
      'overlaps',
      'overlaps',
      undefined,
      undefined,
    ]);
  });

  it('looks at the time, the devices and the rules that are asked for', async () => {
    const from = ['--since', '2026-03-01T00:10:30Z', '--until', '2026-03-01T00:15:00Z'];
    const part = await run('replay', '--config', 'collector.yaml', ...from, '--rule', 'h*', '--json');
    // It began before, and the rules looked before.
    expect(lines(part.out)).toMatchObject([
      { type: 'incident', started: '2026-03-01T00:10:00.000000Z', fired: '2026-03-01T00:10:20.000000Z' },
      { type: 'rule', rule: 'hot', firingSeconds: 30 },
      { type: 'total', devices: 2 },
    ]);
    const other = await run('replay', '--config', 'collector.yaml', ...SINCE, '--device', 'ov*', '--json');
    expect(lines(other.out).map(({ type }) => type)).toEqual(['rule', 'rule', 'total']);
  });

  it.each([
    [['--config', 'collector.yaml', '--rule', 'x*'], /has no rule that matches x\*/],
    [['--config', 'collector.yaml', '--since', 'long ago'], /--since long ago: write a time/],
    [['--config', 'collector.yaml', '--since', '1d', '--until', '2d'], /is not before --until/],
    [['--config', 'collector.yaml', '--lead', '5'], /--lead 5: write a whole number with its unit/],
    [['--rules', 'rules.yaml'], /write one of --config and --store/],
    [['--store', storePath], /name a file of rules/],
  ])('says what is wrong with %j', async (args, expected) => {
    const { code, err } = await run('replay', ...args);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
    expect(err).not.toMatch(/^\s+at /m);
  });

  it('says that there is no store', async () => {
    const { code, err } = await run('replay', '--store', 'absent.db', '--rules', 'rules.yaml');
    expect(code).toBe(1);
    expect(err).toMatch(/absent\.db: there is no store/);
  });
});
