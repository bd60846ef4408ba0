import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from './agent-status.js';
import { serveMetrics } from './metrics-server.js';
import { readStatus, serveStatus } from './status-socket.js';
import { statusTable } from './status-table.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-health-'));
afterAll(() => rmSync(folder, { recursive: true }));

const status: AgentStatus = {
  version: '0.1.0',
  device: 'spiffe://example.org/device/pump-3',
  collector: '127.0.0.1:4443',
  startedAt: '2026-01-01T00:00:00.000Z',
  uptimeSeconds: 90,
  rssBytes: 60_000_000,
  sources: [
    { name: 'board', state: 'waiting', why: 'no such device' },
    { name: 'sim', state: 'running' },
  ],
  readings: { taken: 12, dropped: { memory: 3, not_json: 1 }, pending: 2 },
  batches: { closed: 4, bytes: 900 },
  buffer: {
    epoch: '00',
    items: 5,
    readings: 50,
    bytes: 5_242_880,
    quotaBytes: 268_435_456,
    oldestSequence: 1,
    highestSequence: 5,
    readingsProduced: 50,
    readingsEvicted: 7,
    readingsThinned: 5,
    itemsQuarantined: 0,
    bytesWritten: 10_000,
    blockBytesWritten: 40_000,
    wear: { bytesPerReading: 518.2, bytesPerDay: 448_000_000, projectedYears: 26.9 },
    trouble: 'no space is left for the buffer',
    appendFailures: 0,
  },
  uplink: {
    state: 'waiting',
    why: 'the connection has ended',
    connects: 1,
    connectFailures: 2,
    registrations: 1,
    streams: { answered: 5, deferred: 0, broken: 1 },
    itemsAcknowledged: 40,
    itemsRejected: 0,
    epochsOpened: 0,
    itemsForgotten: 0,
    backlog: { trend: 'draining', readingsPerSecond: 12.5, etaSeconds: 600 },
    lastSuccessAgeSeconds: 12.5,
  },
  alerts: {
    cursor: 3,
    received: 2,
    repeated: 1,
    damagedIntents: 0,
    actions: [
      {
        name: 'siren',
        kind: 'run',
        done: 4,
        failed: 1,
        failures: { 'exit-3': 1 },
        skipped: { old: 2, crash: 1 },
        held: 1,
        waiting: 0,
        running: 1,
      },
    ],
    statuses: [{ name: 'heat', value: 'too warm', incidents: 2, since: '2026-01-01T00:00:00.000Z' }],
  },
};

describe('the status socket', () => {
  it('takes no file away that is not a socket', async () => {
    const path = join(folder, 'buffer.db');
    writeFileSync(path, 'readings');
    await expect(serveStatus(path, async () => status)).rejects.toThrow();
    expect(statSync(path).size).toBe(8);
  });

  it('answers whoever connects, is its owner’s alone, and goes away', async () => {
    const path = join(folder, 'a.sock');
    const close = await serveStatus(path, async () => status);
    expect(await readStatus(path)).toEqual(status);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await close();
    await expect(readStatus(path)).rejects.toThrow('is the agent running?');
  });

  it('replaces what a killed agent left, and leaves a living one alone', async () => {
    const path = join(folder, 'b.sock');
    const killed = `net.createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', killed]);
    expect(statSync(path).isSocket()).toBe(true);
    const close = await serveStatus(path, async () => status);
    await expect(serveStatus(path, async () => status)).rejects.toMatchObject({ code: 'busy' });
    expect((await readStatus(path)).version).toBe('0.1.0');
    await close();
  });

  it('closes a connection whose status cannot be had', async () => {
    const path = join(folder, 'c.sock');
    const close = await serveStatus(path, async () => Promise.reject(new Error('buffer')));
    await expect(readStatus(path)).rejects.toMatchObject({ code: 'corrupt' });
    await close();
  });

  it('can be closed while somebody is connected', async () => {
    const path = join(folder, 'd.sock');
    const close = await serveStatus(path, () => new Promise(() => {}));
    const socket = connect(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    const gone = new Promise((resolve) => socket.once('close', resolve));
    await close();
    await gone;
  });
});

describe('a status for a person', () => {
  it('says what matters on a line each', () => {
    const table = statusTable(status);
    expect(table).toContain('uplink        waiting: the connection has ended\n');
    expect(table).toContain('buffer        5.0 MiB of 256MiB\n');
    expect(table).toContain('dropped       3 memory, 1 not_json\n');
    expect(table).toContain('source board  waiting: no such device\n');
    expect(table).toContain('backlog       gone in 10 min, at 12.5 readings/s\n');
    expect(table).toContain('last success  13 s ago\n');
    expect(table).toContain('trouble       no space is left for the buffer\n');
    expect(table).toContain('status heat   too warm (2 incidents)\n');
    expect(table).toContain('action siren  4 done, 1 failed: exit-3, 1 running, 2 skipped: old, 1 skipped: crash\n');
    expect(table).toContain('flash wear    518.2 B a reading, 427.2 MiB a day: a new card lasts 26.9 years\n');
  });
});

describe('metrics', () => {
  it('are served on loopback as Prometheus reads them, and nothing else is', async () => {
    const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, async () => status);
    const base = `http://127.0.0.1:${server.port}`;
    for (let scrape = 0; scrape < 2; scrape++) {
      const response = await fetch(`${base}/metrics`);
      expect(response.headers.get('content-type')).toContain('text/plain');
      const text = await response.text();
      expect(text).toContain('tributary_agent_readings_total 12\n');
      expect(text).toContain('tributary_agent_readings_dropped_total{reason="not_json"} 1\n');
      expect(text).toContain('tributary_agent_uplink_state{state="waiting"} 1\n');
      expect(text).toContain('tributary_agent_uplink_state{state="idle"} 0\n');
      expect(text).toContain('tributary_agent_backlog_eta_seconds 600\n');
      expect(text).toContain('tributary_agent_alert_actions_total{action="siren",outcome="skipped"} 3\n');
      expect(text).toContain('tributary_agent_alert_actions_failed_total{action="siren",reason="exit-3"} 1\n');
      expect(text).toContain('tributary_agent_alert_actions_skipped_total{action="siren",reason="old"} 2\n');
      expect(text).toContain('tributary_agent_alert_status_value{status="heat",value="too warm"} 1\n');
      expect(text).toContain('tributary_agent_alert_status_incidents{status="heat"} 2\n');
      expect(text).toContain('tributary_agent_backlog_drain_readings_per_second 12.5\n');
      expect(text).toContain('tributary_agent_last_success_age_seconds 12.5\n');
      expect(text).toContain('tributary_agent_buffer_written_bytes_per_reading 518.2\n');
      expect(text).toContain('tributary_agent_buffer_card_life_years 26.9\n');
      expect(text).toContain('tributary_agent_buffer_usable 0\n');
      expect(text).toContain('tributary_agent_source_running{source="sim"} 1\n');
    }
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(404);
    await server.close();
  });

  it('say that the address is taken', async () => {
    const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, async () => status);
    await expect(serveMetrics({ host: '127.0.0.1', port: server.port }, async () => status)).rejects.toMatchObject({
      code: 'busy',
    });
    await server.close();
  });
});
