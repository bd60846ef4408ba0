import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytes16 } from '../store/conformance/data.js';
import { NotifyWorld, webhookYaml } from './notify-world.fixture.js';
import { WebhookServer } from './webhook-server.fixture.js';

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

const start = (more?: string) => world.notifier(webhookYaml('a', server.url), more);
const decided = (incident: number, text: string) =>
  world.until(async () => (await world.decisions(incident)).includes(text));
const ids = () =>
  server.received.map(({ body: { data } }) => `${data.state} ${Number.parseInt(data.incident.slice(-2), 16)}`);
const hex = (incident: number) => Buffer.from(bytes16(incident)).toString('hex');
/** Comes last, so that what is not there then was not sent. */
async function lastOf(incident: number): Promise<string[]> {
  await world.fire(incident, { rule: 'last', seriesName: 'last' }, 1);
  await server.until(() => ids().includes(`firing ${incident}`));
  return ids();
}

describe('a silence', () => {
  it('holds back what it matches, and lets go of what still fires when it ends', async () => {
    const silence = await world.silence({ rule: 'too-*', device: 'd' }, 3600);
    const notifier = await start();
    await world.fire(1);
    await world.fire(2);
    await decided(1, `SILENCED a: ${silence}`);
    await decided(2, `SILENCED a: ${silence}`);
    await world.resolve(2);
    expect(await lastOf(9)).toEqual(['firing 9']);
    world.pass(3601);
    await decided(1, 'NOTIFIED a: firing');
    await world.until(() => notifier.counters.get('a')?.skipped.get('beginning-not-told') === 1);
    expect(ids()).toEqual(['firing 9', 'firing 1']);
    expect(await world.decisions(2)).toEqual([`SILENCED a: ${silence}`]);
    expect(notifier.counters.get('a')?.held.get('silenced')).toBeGreaterThanOrEqual(2);
  });

  it('that is ended by hand lets go at once', async () => {
    const silence = await world.silence({}, 3600);
    await start();
    await world.fire(1);
    await decided(1, `SILENCED a: ${silence}`);
    await world.store.expireSilence(silence, world.nowUs());
    world.wake();
    await decided(1, 'NOTIFIED a: firing');
  });

  it('that comes later does not hold back the end of what was told', async () => {
    await start();
    await world.fire(1);
    await decided(1, 'NOTIFIED a: firing');
    await world.silence({}, 3600);
    await world.resolve(1);
    await decided(1, 'NOTIFIED a: resolved');
  });

  it('does not make what it holds back too old, not over a restart either', async () => {
    const silence = await world.silence({}, 7 * 86_400);
    await start();
    await world.fire(1);
    await decided(1, `SILENCED a: ${silence}`);
    await world.stopAll();
    world.pass(7 * 86_400 + 1);
    const notifier = await start();
    await decided(1, 'NOTIFIED a: firing');
    expect(notifier.counters.get('a')?.dropped.size).toBe(0);
  });

  it('leaves nothing to tell of what was acknowledged meanwhile', async () => {
    const silence = await world.silence({}, 3600);
    const notifier = await start();
    await world.fire(1);
    await decided(1, `SILENCED a: ${silence}`);
    const note = { kind: IncidentEventKind.ACKNOWLEDGED as const, atUs: world.nowUs(), by: 'ada', text: '' };
    expect(await world.store.noteIncident(bytes16(1), note)).toBe('noted');
    world.pass(3601);
    await world.until(() => notifier.counters.get('a')?.skipped.get('acknowledged') === 1);
    expect(await lastOf(9)).toEqual(['firing 9']);
  });
});

describe('a device that is down', () => {
  const down = { rule: 'silent', seriesName: '', seriesUnit: '', seriesLabels: {} };

  it('hides the incidents of its series, and not those of others, until it is back', async () => {
    await start();
    await world.fire(1, down);
    await decided(1, 'NOTIFIED a: firing');
    await world.fire(2);
    await decided(2, `INHIBITED a: ${hex(1)}`);
    await world.fire(3, {}, 1);
    await decided(3, 'NOTIFIED a: firing');
    await world.resolve(1, down);
    await decided(1, 'NOTIFIED a: resolved');
    world.pass(20);
    await decided(2, 'NOTIFIED a: firing');
    expect(ids()).toEqual(['firing 1', 'firing 3', 'resolved 1', 'firing 2']);
  });

  it('hides what began a little earlier', async () => {
    await start('inhibitWait: 10s');
    await world.fire(2);
    await world.fire(1, down);
    await decided(1, 'NOTIFIED a: firing');
    world.pass(11);
    await decided(2, `INHIBITED a: ${hex(1)}`);
    expect(ids()).toEqual(['firing 1']);
  });

  it('hides what is over before it is back', async () => {
    const notifier = await start();
    await world.fire(1, down);
    await decided(1, 'NOTIFIED a: firing');
    await world.fire(2);
    await decided(2, `INHIBITED a: ${hex(1)}`);
    await world.resolve(2);
    world.pass(20);
    await world.until(() => notifier.counters.get('a')?.skipped.get('over') === 1);
    expect(ids()).toEqual(['firing 1']);
  });
});
