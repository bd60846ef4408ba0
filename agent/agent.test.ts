import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '@tributary/core/config/load-config';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, startAgent } from './agent.js';
import { type AgentConfig, agentSchema } from './config/schema.js';
import { readStatus } from './health/status-socket.js';
import { eventually, TestCollector } from './uplink/test-collector.js';
import { TestPki } from './uplink/test-pki.js';

let pki: TestPki;
let folder: string;
let collector: TestCollector;
let nextFolder = 0;
const running: Agent[] = [];

beforeAll(async () => {
  pki = await TestPki.create();
  folder = mkdtempSync(join(tmpdir(), 'tributary-agent-'));
});
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.stop();
  collector.kill();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A configuration in a folder of its own, for a device that has a reading of two sensors each 5 ms. */
async function configure(): Promise<AgentConfig> {
  const home = join(folder, String(nextFolder++));
  mkdirSync(home);
  await pki.writeDevice(home, 'pump-3');
  const text = `
device: {site: here}
collector: {address: "127.0.0.1:${collector.port}"}
tls: {ca: ca.pem, cert: device.pem, key: device.key}
buffer: {path: buffer.db, quota: 8MiB}
batching: {maxAge: 20ms, maxAgeOffline: 50ms}
health: {metrics: "127.0.0.1:1"}
sources:
  - type: simulator
    name: sim
    interval: 5ms
    series:
      - {name: t, model: temperature}
      - {name: door, model: door}
`;
  const config = parseConfig(text, join(home, 'agent.yaml'), agentSchema);
  return { ...config, health: { metrics: { host: '127.0.0.1', port: 0 } } };
}

async function start(config: AgentConfig): Promise<Agent> {
  const agent = await startAgent(config, { log: pino({ level: 'silent' }) });
  running.push(agent);
  return agent;
}

async function newCollector(): Promise<void> {
  collector = new TestCollector(pki);
  await collector.start();
}

describe('an agent', () => {
  it('brings readings to the collector, says how it is, and ends in order', async () => {
    await newCollector();
    const config = await configure();
    const agent = await start(config);
    await eventually('readings arrive', () => collector.readings > 50);
    const [request] = collector.registrations;
    expect(request.attributes).toEqual({ site: 'here' });
    expect(request.segments[0].bootId).toMatch(/^[0-9a-f]{32}$/);

    await eventually('health is served', () => agent.metricsPort !== undefined);
    const status = await readStatus(join(config.buffer.path, '..', 'status.sock'));
    expect(status.device).toBe('spiffe://example.org/device/pump-3');
    expect(status.sources).toEqual([{ name: 'sim', state: 'running' }]);
    const scrape = await (await fetch(`http://127.0.0.1:${agent.metricsPort}/metrics`)).text();
    expect(scrape).toContain('tributary_agent_uplink_connects_total 1');

    await agent.stop();
    const total = status.readings.taken;
    expect(collector.readings).toBeGreaterThanOrEqual(total);
    for (const { times } of collector.stored.values()) expect(times).toBe(1);
    // What stands in the items is what was counted, in consecutive sequences.
    let before = 0;
    const arena = new DecodeArena();
    const items = [...collector.stored.values()].map(({ item }) => item).sort((a, b) => a.sequence - b.sequence);
    for (const [at, item] of items.entries()) {
      expect(item.sequence).toBe(at + 1);
      expect(item.readingsBefore).toBe(before);
      const batch = decodeBatch(item.body, arena);
      expect(batch.readings).toBe(item.readings);
      before += item.readings;
    }
  });

  it('keeps readings while the collector is away, and loses none', async () => {
    await newCollector();
    const config = await configure();
    const agent = await start(config);
    await eventually('readings arrive', () => collector.readings > 10);
    collector.kill();
    await eventually('readings wait', async () => (await agent.status()).buffer.readings > 50);
    const { highestSequence } = (await agent.status()).buffer;
    await collector.start();
    await eventually('all of them have arrived, and are known to', async () => {
      const { items, oldestSequence } = (await agent.status()).buffer;
      return items === 0 || oldestSequence > highestSequence;
    });
    await agent.stop();
    const last = Math.max(...[...collector.stored.values()].map(({ item }) => item.readingsBefore + item.readings));
    expect(collector.readings).toBe(last);
  });

  it('goes on where it was after a restart: same epoch, same segment, same series', async () => {
    await newCollector();
    const config = await configure();
    const first = await start(config);
    await eventually('readings arrive', () => collector.readings > 10);
    await first.stop();
    const highest = collector.stored.size;
    const [before] = collector.registrations;
    const count = collector.registrations.length;
    await start(config);
    await eventually('more arrive', () => collector.stored.size > highest + 2);
    const again = collector.registrations[count];
    expect(Buffer.compare(again.epochs[0].epoch, before.epochs[0].epoch)).toBe(0);
    expect(Buffer.compare(again.startId, before.startId)).not.toBe(0);
    expect(again.segments.every(({ bootId }) => bootId === before.segments[0].bootId)).toBe(true);
    expect(again.series.length).toBe(2);
    const segments = again.segments.length;
    await eventually('the clocks were compared', () => collector.stored.size > highest + 4);
    expect(segments).toBeLessThanOrEqual(2);
  });

  it('gets its alerts once, also those from while it was away', async () => {
    await newCollector();
    const alert = (number: number): Alert => ({
      ...Alert.decode(new Uint8Array(0)),
      number,
      state: AlertState.FIRING,
      incidentId: new Uint8Array(16).fill(number),
    });
    collector.alert(alert(1));
    const config = await configure();
    const first = await start(config);
    await eventually('the alert is acknowledged', () => collector.acknowledgedAlerts.includes(1));
    expect((await first.status()).alerts).toMatchObject({ cursor: 1, received: 1, repeated: 0 });
    await first.stop();
    collector.alert(alert(2));
    const second = await start(config);
    await eventually('the alert is acknowledged', () => collector.acknowledgedAlerts.includes(2));
    expect((await second.status()).alerts).toMatchObject({ cursor: 2, received: 1, repeated: 0 });
  });

  it('does not start with certificates that cannot be used, and leaves nothing behind', async () => {
    await newCollector();
    const config = await configure();
    await expect(start({ ...config, tls: { ...config.tls, key: config.tls.cert } })).rejects.toMatchObject({
      code: 'config',
    });
    await start(config);
  });

  it('does not share a buffer', async () => {
    await newCollector();
    const config = await configure();
    await start(config);
    await expect(start(config)).rejects.toMatchObject({ code: 'busy' });
  });
});
