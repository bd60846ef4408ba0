import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytes16 } from '../store/conformance/data.js';
import { NotifyWorld, SECRET, webhookYaml } from './notify-world.fixture.js';
import { isSignedBy, WebhookServer } from './webhook-server.fixture.js';

let world: NotifyWorld;
let server: WebhookServer;
beforeEach(async () => {
  world = await NotifyWorld.open();
  server = new WebhookServer();
  await server.start();
});
afterEach(async () => {
  await world.close();
  await server.kill();
});

const ids = () => server.received.map(({ headers }) => headers['webhook-id']);
const idOf = (incident: number, state: string) => `${Buffer.from(bytes16(incident)).toString('hex')}_${state}`;
const told = (incident: number, state: string) =>
  world.until(async () => (await world.decisions(incident)).includes(`NOTIFIED a: ${state}`));

describe('webhooks', () => {
  it('tell of a beginning and an end once, signed, with a key for each', async () => {
    await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await server.came(1);
    await world.resolve(1);
    await server.came(2);
    await told(1, 'resolved');
    expect(ids()).toEqual([idOf(1, 'firing'), idOf(1, 'resolved')]);
    expect(server.received.every((one) => isSignedBy(SECRET, one))).toBe(true);
    expect(server.received.some((one) => isSignedBy(Buffer.alloc(32, 6), one))).toBe(false);
    expect(server.received[0]?.headers['content-type']).toBe('application/json');
    expect(server.received[0]?.body).toMatchObject({
      type: 'incident.firing',
      data: { rule: 'too-warm', device: 'd' },
    });
    // Nothing is left that another start could tell again.
    await world.stopAll();
    const again = await world.notifier(webhookYaml('a', server.url));
    await world.fire(2);
    await server.came(3);
    expect(ids()[2]).toBe(idOf(2, 'firing'));
    expect(again.counters.get('a')).toMatchObject({ failed: new Map(), dropped: new Map() });
    expect(await world.decisions(1)).toEqual(['NOTIFIED a: firing', 'NOTIFIED a: resolved']);
  });

  it('are verified by the example of the documentation', async () => {
    await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await server.came(1);
    const [{ headers, text }] = server.received as [WebhookServer['received'][number]];
    const page = readFileSync(fileURLToPath(new URL('../../../docs/ALERTS.md', import.meta.url)), 'utf8');
    const example = /```js\n((?:(?!```)[\s\S])*isGenuine[\s\S]*?)```/.exec(page)?.[1] ?? '';
    const { isGenuine } = await import(`data:text/javascript,${encodeURIComponent(example)}`);
    const secret = `whsec_${SECRET.toString('base64')}`;
    expect(isGenuine(secret, headers, Buffer.from(text))).toBe(true);
    expect(isGenuine(secret, headers, Buffer.from(text.replace('warning', 'info')))).toBe(false);
    expect(isGenuine(secret, headers, Buffer.from(text), Date.now() / 1000 + 600)).toBe(false);
    expect(isGenuine(`whsec_${Buffer.alloc(32).toString('base64')}`, headers, Buffer.from(text))).toBe(false);
  });

  it('wait for a receiver that is away, in order, and miss none', async () => {
    await server.kill();
    const notifier = await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await world.fire(2);
    await world.resolve(1);
    await world.until(() => (notifier.counters.get('a')?.failed.get('away') ?? 0) > 7);
    // Enough for somebody to see it, and no line for each attempt.
    expect(world.said).toHaveLength(5);
    expect(JSON.parse(world.said[0]!)).toMatchObject({
      level: 'warn',
      receiver: 'a',
      why: expect.stringContaining('the connection was refused, nobody listens there'),
      msg: expect.stringMatching(/^a notification failed; it is tried again in \d+s$/),
    });
    await server.start();
    await told(1, 'resolved');
    await told(2, 'firing');
    expect(server.story.filter((one) => one.startsWith('resolved'))).toHaveLength(1);
    const of1 = ids().filter((id) => String(id).includes('01_'));
    expect(of1).toEqual([idOf(1, 'firing'), idOf(1, 'resolved')]);
    expect(world.said.at(-1)).toContain('the receiver takes notifications again');
  });

  it('are tried again when a receiver asks for it, no sooner than it says', async () => {
    const times: number[] = [];
    server.answer = (response) => {
      times.push(performance.now());
      if (times.length === 1) response.writeHead(503, { 'retry-after': '1' }).end();
      else response.end();
    };
    await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await told(1, 'firing');
    expect(times).toHaveLength(2);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(990);
    expect(new Set(ids()).size).toBe(1);
  });

  it('of one receiver wait for no other', async () => {
    const hanging = new WebhookServer();
    await hanging.start();
    hanging.answer = () => {};
    await world.notifier(`${webhookYaml('hangs', hanging.url)}, ${webhookYaml('a', server.url)}`);
    for (let incident = 1; incident <= 20; incident++) await world.fire(incident);
    await server.came(20);
    await hanging.came(1);
    // Its requests are few, and each is of another incident.
    expect(hanging.received.length).toBeLessThanOrEqual(4);
    await world.stopAll(0);
    await hanging.kill();
  });

  it('go where the configuration says and nowhere else', async () => {
    const elsewhere = new WebhookServer();
    await elsewhere.start();
    server.answer = (response) => response.writeHead(307, { location: elsewhere.url }).end();
    const notifier = await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await server.came(3);
    expect(notifier.counters.get('a')?.failed.get('away')).toBeGreaterThan(1);
    expect(elsewhere.received).toEqual([]);
    await elsewhere.kill();
  });

  it('that one body is refused do not hold up the others', async () => {
    server.answer = (response, { body }) => response.writeHead(body.data.incident.endsWith('01') ? 422 : 200).end();
    const notifier = await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await world.fire(2);
    await told(2, 'firing');
    await world.fire(3);
    await told(3, 'firing');
    expect(notifier.counters.get('a')?.failed.get('refused')).toBeGreaterThan(0);
    expect(notifier.counters.get('a')?.failed.get('away')).toBeUndefined();
  });

  it('end with 410, and begin again with the next start', async () => {
    server.answer = (response) => response.writeHead(410).end();
    const notifier = await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await world.until(() => notifier.counters.get('a')?.gone === true);
    const count = server.received.length;
    await world.fire(2);
    await world.stopAll();
    expect(server.received).toHaveLength(count);
    server.answer = (response) => response.end();
    world.pass(600);
    await world.notifier(webhookYaml('a', server.url));
    await told(1, 'firing');
    await told(2, 'firing');
  });

  it('are given up when nobody takes them for as long as is stated', async () => {
    server.answer = (response) => response.writeHead(500).end();
    const notifier = await world.notifier(webhookYaml('a', server.url, ', giveUpAfter: 1h'));
    await world.fire(1);
    await server.came(2);
    world.pass(3700);
    await world.until(() => (notifier.counters.get('a')?.dropped.get('too-old') ?? 0) === 1);
    // The count goes up before the store has the decision.
    await world.until(async () => (await world.decisions(1)).length > 0);
    expect(await world.decisions(1)).toEqual(['COMMENTED a: not told: nobody took it in time']);
    // Nobody was told of the beginning, so nobody is told of the end.
    await world.resolve(1);
    await world.until(() => notifier.counters.get('a')?.skipped.get('beginning-not-told') === 1);
  });

  it('are of what a receiver asks for', async () => {
    const more = ', sendResolved: false, match: { severity: crit*, series.room: a }';
    const notifier = await world.notifier(webhookYaml('a', server.url, more));
    await world.fire(1);
    await world.fire(2, { severity: 'critical' });
    await told(2, 'firing');
    await world.resolve(2);
    await world.resolve(1);
    await world.until(() => notifier.counters.get('a')?.skipped.get('beginning-not-told') === 1);
    await world.until(() => notifier.counters.get('a')?.skipped.get('end-not-wanted') === 1);
    expect(ids()).toEqual([idOf(2, 'firing')]);
  });

  it('carry the headers that are configured', async () => {
    await world.notifier(
      webhookYaml('a', server.url, ', headers: { X-Plant: "7" }, headerFiles: { Authorization: secret }'),
    );
    await world.fire(1);
    await server.came(1);
    expect(server.received[0]?.headers).toMatchObject({
      'x-plant': '7',
      authorization: `whsec_${SECRET.toString('base64')}`,
    });
  });

  it('are shared by several collectors: each is sent by one of them', async () => {
    const one = await world.notifier(webhookYaml('a', server.url));
    const other = await world.notifier(webhookYaml('a', server.url));
    for (let incident = 1; incident <= 60; incident++) await world.fire(incident);
    await server.came(60);
    await world.until(async () => (await world.store.receiverStates()).every(({ oldestUs }) => oldestUs === undefined));
    expect(new Set(ids()).size).toBe(60);
    expect(ids()).toHaveLength(60);
    expect((one.counters.get('a')?.sent ?? 0) + (other.counters.get('a')?.sent ?? 0)).toBe(60);
  });

  it('that are under way when the collector stops are sent by the next one, under the same key', async () => {
    server.answer = () => {};
    await world.notifier(webhookYaml('a', server.url));
    await world.fire(1);
    await server.came(1);
    await world.stopAll(50);
    await world.closeStore();
    server.answer = (response) => response.end();
    await world.openStore();
    await world.notifier(webhookYaml('a', server.url));
    await told(1, 'firing');
    expect(ids()).toEqual([idOf(1, 'firing'), idOf(1, 'firing')]);
    expect((await world.store.findIncident(bytes16(1)))?.notified).toBe(true);
  });
});
