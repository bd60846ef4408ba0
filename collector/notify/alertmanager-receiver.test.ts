import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCa, issueServer } from '../identity/pki.js';
import { Alertmanager, alertmanagerBinary } from './alertmanager.fixture.js';
import { NotifyWorld } from './notify-world.fixture.js';
import { WebhookServer } from './webhook-server.fixture.js';

/** What Alertmanager tells people, in the form of its own webhooks. */
interface AlertmanagerHook {
  alerts: { status: string; labels: Record<string, string> }[];
}

describe.skipIf(alertmanagerBinary === undefined)('a real Alertmanager', () => {
  let world: NotifyWorld;
  let people: WebhookServer;
  let alertmanager: Alertmanager;
  beforeEach(async () => {
    world = await NotifyWorld.open();
    people = new WebhookServer();
    await people.start();
    alertmanager = await Alertmanager.prepare(world.dir, people.url);
    await alertmanager.start();
  });
  afterEach(async () => {
    await world.close();
    await alertmanager.kill();
    await people.kill();
  });

  const start = (urls = [alertmanager.url], resendInterval = '2s') =>
    world.notifier(
      `{ name: a, kind: alertmanager, urls: [${urls.map((url) => `'${url}'`).join(', ')}], resendInterval: ${resendInterval} }`,
      "inhibitWait: 0s, link: 'https://x.example/?device={{device}}'",
    );
  /** What people heard: `firing too-warm d`. */
  const heard = () =>
    people.received.flatMap(({ text }) =>
      (JSON.parse(text) as AlertmanagerHook).alerts.map(
        ({ status, labels }) => `${status} ${labels.alertname} ${labels.device}`,
      ),
    );
  const hears = (...words: string[]) => people.until(() => words.every((word) => heard().includes(word)));
  const decided = (incident: number, text: string) =>
    world.until(async () => (await world.decisions(incident)).includes(text));

  it('takes an incident with its labels, keeps it while it fires, and lets it go', async () => {
    const notifier = await start();
    await world.fire(1, { labels: { 'team-name': 'ops', reached: '31.5' } });
    await hears('firing too-warm d');
    const [alert] = await alertmanager.alerts();
    expect(alert).toMatchObject({
      labels: {
        alertname: 'too-warm',
        severity: 'warning',
        device: 'd',
        series: 'temperature',
        unit: 'Cel',
        room: 'a',
        team_name: 'ops',
      },
      annotations: { summary: 'warm', value: '31.5' },
      generatorURL: 'https://x.example/?device=d',
      status: { state: 'active' },
    });
    const startsMs = Date.parse(alert!.startsAt);
    expect(Math.abs(Date.now() - 60_000 - startsMs)).toBeLessThan(10_000);
    // Longer than the four intervals after which it would be taken for resolved.
    await world.until(() => (notifier.counters.get('a')?.sent ?? 0) >= 6);
    expect(heard()).toEqual(['firing too-warm d']);
    await world.resolve(1, { labels: { 'team-name': 'ops', reached: '31.5' } });
    await hears('resolved too-warm d');
    expect(await alertmanager.alerts()).toEqual([]);
    expect(heard()).toEqual(['firing too-warm d', 'resolved too-warm d']);
    await decided(1, 'NOTIFIED a: resolved');
    expect(await world.decisions(1)).toEqual(['NOTIFIED a: firing', 'NOTIFIED a: resolved']);
  });

  it('hears of the end under the labels of the beginning, though the rule words them anew', async () => {
    // So long that it does not take the alert for resolved by itself.
    await start([alertmanager.url], '1m');
    await world.fire(1, { labels: { reached: '31.5' } });
    await hears('firing too-warm d');
    await world.resolve(1, { labels: { reached: '20' } });
    await hears('resolved too-warm d');
    expect(await alertmanager.alerts()).toEqual([]);
  });

  it('has everything again after a restart, and hears of an end that it has missed', async () => {
    const notifier = await start();
    await world.fire(1, { rule: 'lasting' });
    await world.fire(2, { rule: 'ending' });
    await hears('firing lasting d', 'firing ending d');
    await alertmanager.kill();
    await world.resolve(2, { rule: 'ending' });
    await world.until(() => (notifier.counters.get('a')?.failed.get('away') ?? 0) > 0);
    await alertmanager.start();
    await decided(2, 'NOTIFIED a: resolved');
    const firing = async () => (await alertmanager.alerts()).map(({ labels }) => labels.alertname);
    await world.until(async () => (await firing()).includes('lasting'));
    expect(await firing()).toEqual(['lasting']);
    expect(notifier.counters.get('a')?.dropped.size).toBe(0);
  });

  it('takes for resolved what a collector that is gone does not send any more', async () => {
    await start();
    await world.fire(1);
    await hears('firing too-warm d');
    await world.stopAll();
    await hears('resolved too-warm d');
  });

  it('of a cluster may be away, as long as another one takes it', async () => {
    const dead = await Alertmanager.prepare(`${world.dir}/dead`, people.url);
    const notifier = await start([dead.url, alertmanager.url]);
    await world.fire(1);
    await hears('firing too-warm d');
    await decided(1, 'NOTIFIED a: firing');
    expect(notifier.counters.get('a')?.failed.size).toBe(0);
  });

  it('keeps firing what fires again while the end before is still repeated', async () => {
    await start();
    await world.fire(1);
    await hears('firing too-warm d');
    await world.resolve(1);
    await hears('resolved too-warm d');
    await world.fire(2);
    await people.until(() => heard().length >= 3);
    const startsMs = Date.parse((await alertmanager.alerts())[0]!.startsAt);
    // It began a minute before it was sent: two repetitions, with which the end of the first came again.
    await world.until(async () => {
      const [alert] = await alertmanager.alerts();
      return alert !== undefined && Date.parse(alert.endsAt) - startsMs > 71_500;
    });
    expect(heard()).toEqual(['firing too-warm d', 'resolved too-warm d', 'firing too-warm d']);
  });

  it('is told over TLS, with a password', async () => {
    const pki = { dir: join(world.dir, 'pki'), days: 30, nowMs: Date.now() };
    await createCa({ ...pki, trustDomain: 'example.org' });
    const { cert, key } = await issueServer({ ...pki, hosts: ['127.0.0.1'] });
    writeFileSync(join(world.dir, 'password'), 'geheim\n', { mode: 0o600 });
    writeFileSync(join(world.dir, 'wrong'), 'falsch\n', { mode: 0o600 });
    const web = `tls_server_config: { cert_file: ${cert}, key_file: ${key} }
basic_auth_users: { tributary: '$2b$04$URkSfIn129KYbS/4I8m83ulLma78cjb1BAvMD3r7EHwoezeGMzKh.' } # bcrypt of geheim
`;
    const secure = await Alertmanager.prepare(join(world.dir, 'secure'), people.url, web);
    await secure.start();
    try {
      const receiver = (name: string, passwordFile: string) =>
        `{ name: ${name}, kind: alertmanager, urls: ['${secure.url}'], tls: { ca: pki/ca.pem }, basicAuth: { user: tributary, passwordFile: ${passwordFile} } }`;
      await world.notifier(`${receiver('a', 'password')}, ${receiver('b', 'wrong')}`);
      await world.fire(1);
      await hears('firing too-warm d');
      await decided(1, 'NOTIFIED a: firing');
      await world.until(() => world.said.some((line) => /"receiver":"b".* answers 401/.test(line)));
      expect(await world.decisions(1)).not.toContain('NOTIFIED b: firing');
    } finally {
      await world.stopAll();
      await secure.kill();
    }
  });

  it('gets hundreds in a few requests', async () => {
    const notifier = await start();
    for (let incident = 1; incident <= 200; incident++) await world.fire(incident, { seriesName: `s${incident}` });
    await world.until(async () => (await alertmanager.alerts()).length === 200);
    expect(notifier.counters.get('a')?.failed.size).toBe(0);
  });
});
