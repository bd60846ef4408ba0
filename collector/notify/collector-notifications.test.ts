import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestClient } from '../collector-client.fixture.js';
import { batchBody, item } from '../ingest/ingest-fixture.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { TestSite } from '../test-site.fixture.js';
import { WebhookServer } from './webhook-server.fixture.js';

const program = fileURLToPath(new URL('../../bin/tributary-collector.mjs', import.meta.url));

let site: TestSite;
let server: WebhookServer;
beforeAll(async () => {
  site = await TestSite.make('notifications');
  const rules = 'rules:\n  - { name: hot, select: { name: temperature }, above: 80 }\n';
  writeFileSync(join(site.root, 'rules.yaml'), rules);
  writeFileSync(join(site.root, 'secret'), `whsec_${Buffer.alloc(32, 5).toString('base64')}`, { mode: 0o600 });
});
afterAll(() => site.remove());
beforeEach(async () => {
  server = new WebhookServer();
  await server.start();
});
afterEach(() => server.kill());

const configured = () => `rules: rules.yaml
notify:
  receivers: [{ name: a, kind: webhook, url: '${server.url}', secretFile: secret, timeout: 1s }]
  inhibitWait: 0s
`;

/** A device that has become hot; resolves when the collector has acknowledged that. */
async function heat(client: TestClient, epoch: Buffer<ArrayBuffer>): Promise<void> {
  const { fencingToken } = await client.register(epoch);
  const { durable } = await client.upload({ epoch, fencingToken }, [item(1, batchBody([20, 95, 99]), {}, epoch)]);
  expect(durable).toEqual([{ first: 1, last: 1 }]);
}

const keys = () => [...new Set(server.received.map(({ headers }) => headers['webhook-id']))];

async function decisions(name: string): Promise<string[]> {
  const store = await SqliteStore.open({ path: site.storePath(name) });
  const all = { openOnly: false, withRetracted: true };
  const { incidents } = await store.readIncidents(all, '', 10);
  const events = await Promise.all(incidents.map(({ incidentId }) => store.incidentEvents(incidentId)));
  await store.close();
  return events.flat().map(({ text }) => text);
}

describe('a collector with receivers', () => {
  it('takes readings, is ready and stops in order though a receiver hangs, and tells it after the next start', async () => {
    server.answer = () => {};
    const collector = await site.start('hanging', configured());
    const client = new TestClient(collector.address.port, site.device);
    const epoch = randomBytes(16);
    await heat(client, epoch);
    await server.came(1);
    expect(server.received[0]?.body.data).toMatchObject({ rule: 'hot', device: 'pump', value: 95 });
    const { host, port } = collector.healthAddress;
    const get = async (path: string) => (await fetch(`http://${host}:${port}${path}`)).text();
    expect(await get('/readyz')).toBe('ready\n');
    const metrics = await get('/metrics');
    expect(metrics).toContain('tributary_collector_notifications_waiting{receiver="a"} 1');
    expect(metrics).toContain('tributary_collector_notifications_sent_total{receiver="a"} 0');
    expect(metrics).toMatch(/tributary_collector_notifications_oldest_seconds\{receiver="a"\} \d/);
    client.close();
    const begun = performance.now();
    await collector.stop();
    expect(performance.now() - begun).toBeLessThan(20_000);
    server.answer = (response) => response.end();
    const count = server.received.length;
    const next = await site.start('hanging', configured());
    await server.came(count + 1);
    await next.stop();
    expect(keys()).toHaveLength(1);
    expect(await decisions('hanging')).toContain('a: firing');
  });

  it('that is killed while it tells somebody tells it again, under the same key, and then no more', async () => {
    server.answer = () => {};
    const file = join(site.root, 'killed.yaml');
    writeFileSync(file, site.configText('killed', configured(), 'info'));
    const first = await CollectorProcess.start(file);
    const client = new TestClient(first.port, site.device);
    await heat(client, randomBytes(16));
    await server.came(1);
    client.close();
    await first.end('SIGKILL');
    const count = server.received.length;
    server.answer = (response) => response.end();
    const second = await CollectorProcess.start(file);
    // The lease of the one that was killed ends first.
    await server.came(count + 1);
    await second.end('SIGTERM');
    const third = await CollectorProcess.start(file);
    await third.end('SIGTERM');
    expect(server.received).toHaveLength(count + 1);
    expect(keys()).toHaveLength(1);
    expect(await decisions('killed')).toContain('a: firing');
  });
});

/** The program itself, as a service manager starts it. */
class CollectorProcess {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(configFile: string): Promise<CollectorProcess> {
    const child = spawn(process.execPath, [program, 'serve', '--config', configFile], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line);
      const { listen, msg } = JSON.parse(line) as { listen?: string; msg: string };
      if (msg !== 'the collector takes readings') continue;
      child.stderr.resume();
      return new CollectorProcess(child, Number(listen?.split(':').at(-1)));
    }
    throw new Error(`the collector did not start:\n${said.join('\n')}`);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    await ended;
  }
}
