import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Collector } from '../collector.js';
import { alert, register, SECOND_US } from '../store/conformance/data.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { TestSite } from '../test-site.fixture.js';

const bin = fileURLToPath(new URL('../../bin/tributary-collector.mjs', import.meta.url));
const START_US = Date.UTC(2026, 2, 1) * 1000;
/** The first two begin alike. */
const IDS = ['aaaaaaaa11', 'aaaaaaaa22', 'bbbbbbbb33'].map((begin) => begin.padEnd(32, '0')) as [
  string,
  string,
  string,
];

let site: TestSite;
let collector: Collector;
let connection: string[];

beforeAll(async () => {
  site = await TestSite.make('incident-commands');
  const store = await SqliteStore.open({ path: site.storePath('commands') });
  const kiln = await register(store, 'kiln');
  const oven = await register(store, 'oven', { name: { tenant: 'acme', device: 'oven' } });
  const of = (at: 0 | 1 | 2, state: AlertState, seconds: number) => {
    const { deviceId } = at === 2 ? oven : kiln;
    const record = alert(deviceId, at, state);
    const incidentId = Uint8Array.from(Buffer.from(IDS[at], 'hex'));
    const device = at === 2 ? 'oven' : 'kiln';
    const changes = { incidentId, device, startedAtUs: START_US, transitionAtUs: START_US + seconds * SECOND_US };
    return { ...record, alert: { ...record.alert, ...changes, rule: at === 1 ? 'too-wet' : 'too-warm' } };
  };
  const { FIRING, RESOLVED } = AlertState;
  await store.appendAlerts([of(0, FIRING, 0), of(1, FIRING, 1), of(2, FIRING, 2), of(0, RESOLVED, 60)], START_US);
  await store.close();
  collector = await site.start('commands');
  const { ca, cert, key } = await site.issueOperator('ada');
  const file = join(site.root, 'client.yaml');
  writeFileSync(file, `{ address: '127.0.0.1:${collector.address.port}', ca: ${ca}, cert: ${cert}, key: ${key} }\n`);
  connection = ['--config', file];
});

afterAll(async () => {
  await collector.stop();
  site.remove();
});

function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...args, ...connection], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const json = async (...args: string[]) => {
  const { out, err } = await run(...args, '--format', 'json');
  expect(err).toBe('');
  const lines = out.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
};

describe('the incident commands', () => {
  it('list incidents, the newest first, as a table, as JSON and as CSV', async () => {
    expect((await json('incidents', 'list')).map(({ incident, state, device }) => [incident, state, device])).toEqual([
      [IDS[2], 'firing', 'acme/oven'],
      [IDS[1], 'firing', 'kiln'],
      [IDS[0], 'resolved', 'kiln'],
    ]);
    expect(await json('incidents', 'list', '--open', '--device', 'kiln')).toMatchObject([{ rule: 'too-wet' }]);
    expect(await json('incidents', 'list', '--rule', '*-warm', '--limit', '1')).toMatchObject([{ incident: IDS[2] }]);
    expect(await json('incidents', 'list', '--from', '2026-03-02', '--rule', 'too-warm')).toMatchObject([
      { incident: IDS[2] },
    ]);
    const table = await run('incidents', 'list', '--device', 'kiln');
    expect(table.out).toMatch(/^incident +state +device +rule/);
    expect(table.out).toMatch(
      /\naaaaaaaa2200 +firing +kiln +too-wet +warning +temperature +31\.5 +2026-03-01T00:00:00/,
    );
    const csv = await run('incidents', 'list', '--device', 'acme/oven', '--format', 'csv');
    expect(csv.out.split('\r\n')[1]).toMatch(`${IDS[2]},firing,acme/oven,too-warm,warning,temperature,31.5,`);
  });

  it('acknowledge, comment and resolve by the first digits of an id, and show what was done', async () => {
    expect(await run('incidents', 'ack', 'BBBBBBBB3', '--comment', 'on my way')).toEqual({
      code: 0,
      out: `${IDS[2]}: acknowledged\n`,
      err: '',
    });
    expect((await run('incidents', 'comment', IDS[2], 'the door is open')).out).toBe(`${IDS[2]}: commented\n`);
    const resolved = await run('incidents', 'resolve', 'bbbbbbbb', 'aaaaaaaa2', '--comment', 'closed it');
    expect(resolved.out).toBe(`${IDS[2]}: resolved\n${IDS[1]}: resolved\n`);
    const ada = 'spiffe://example.org/operator/ada';
    expect(await json('incidents', 'show', 'bbbbbbbb')).toMatchObject([
      {
        incident: IDS[2],
        state: 'resolved',
        acknowledged_by: ada,
        resolved_by: ada,
        notified: true,
        evaluated_by: 'collector',
        events: [
          { event: 'fired', by: '', text: '', at: '2026-03-01T00:00:00.000000Z' },
          { event: 'acknowledged', by: ada, text: 'on my way' },
          { event: 'commented', by: ada, text: 'the door is open' },
          { event: 'resolved-by-hand', by: ada, text: 'closed it' },
        ],
      },
    ]);
    const { out } = await run('incidents', 'show', 'bbbbbbbb');
    expect(out).toMatch(/^field +holds\nincident +b{8}3{2}0{22}\nstate +resolved\n/);
    expect(out).toMatch(/\n\nat +event +by +text\n.*fired\n.*acknowledged +ada +on my way\n/);
    const csv = await run('incidents', 'show', 'bbbbbbbb', '--format', 'csv');
    expect(csv.out.split('\r\n')[0]).toBe('at,event,by,text');
  });

  it('make, list and end silences', async () => {
    const [silence] = await json(
      ...['silences', 'add', '--match', 'device=oven', '--match', 'series.room=*', '--until', '2h', '--comment', 'x'],
    );
    expect(silence).toMatchObject({ silence: '1', matches: { device: 'oven', 'series.room': '*' }, comment: 'x' });
    const hours = (Date.parse(String(silence?.until)) - Date.parse(String(silence?.from))) / 3_600_000;
    expect(hours).toBeCloseTo(2, 1);
    expect(await json('silences', 'list')).toEqual([silence]);
    expect((await run('silences', 'expire', '1')).out).toBe('1: expired\n');
    expect(await json('silences', 'list')).toEqual([]);
    expect(await json('silences', 'list', '--expired')).toMatchObject([{ silence: '1' }]);
  });

  it('say what is wrong', async () => {
    const wrong: [string[], RegExp][] = [
      [['incidents', 'show', 'aaaaaaaa'], /aaaaaaaa: several incidents begin so; write more digits/],
      [['incidents', 'ack', 'cccccccc'], /cccccccc: no incident begins so/],
      [['incidents', 'resolve', 'abc'], /abc: no id of an incident; write at least its first 8/],
      [['incidents', 'show', 'c'.repeat(32)], /there is no incident c{32}/],
      [['incidents', 'ack', 'aaaaaaaa11'], /the incident is over; there is nothing to acknowledge/],
      [['incidents', 'list', '--device', 'nobody'], /there is no device nobody/],
      [['incidents', 'comment', 'bbbbbbbb', ' '], /comment: empty/],
      [['silences', 'add', '--match', 'oven', '--until', '2h'], /a label and a pattern such as device=pump-\*/],
      [['silences', 'add', '--match', 'a=1', '--match', 'a=2', '--until', '2h'], /a is there twice/],
      [['silences', 'add', '--match', 'a=1', '--until', 'soon'], /or 2h for in two hours, is needed/],
      [
        ['silences', 'add', '--match', 'a=1', '--until', '2020-01-01'],
        /silence.until_us: 2020-01-01T00:00:00.000Z; it/,
      ],
      [['silences', 'add', '--until', '2h'], /--match <label=pattern>' not specified/],
      [['silences', 'expire', '77'], /there is no silence 77/],
      [['query', 'rules'], /device: missing; name one device/],
    ];
    for (const [args, words] of wrong) {
      const { code, out, err } = await run(...args);
      expect([args.join(' '), code === 0, out, err]).toEqual([args.join(' '), false, '', expect.stringMatching(words)]);
      expect(err).not.toMatch(/\bat .*\.js/);
    }
  });
});
