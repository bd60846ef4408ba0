import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '@tributary/core/config/load-config';
import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, startAgent } from './agent.js';
import { decodeDeclaration } from './buffer/loss-entries.js';
import { decodeThinnedBatch, keptReadings } from './buffer/thinned-batch.js';
import { type AgentConfig, agentSchema } from './config/schema.js';
import { eventually, TestCollector } from './uplink/test-collector.js';
import { TestPki } from './uplink/test-pki.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-refusing-disk-'));
const disk = join(folder, 'disk');
const ballast = join(disk, 'ballast');
mkdirSync(disk);

function mount(...options: string[]): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', disk], { stdio: 'ignore' });
}

let canMount = true;
try {
  mount('size=1m');
  execFileSync('umount', [disk]);
} catch {
  // Mounting needs a privilege that many machines do not give to tests.
  canMount = false;
}

let pki: TestPki;
let collector: TestCollector;
let agent: Agent | undefined;
let isMounted = false;
let nextHome = 0;

beforeAll(async () => {
  pki = await TestPki.create();
});
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
  collector?.kill();
  if (isMounted) execFileSync('umount', [disk]);
  isMounted = false;
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A disk with the agent's buffer and nothing else on it, and a device that has two readings each 5 ms. */
async function configure(mountOptions: string[], buffer = ''): Promise<AgentConfig> {
  mount(...mountOptions);
  isMounted = true;
  collector = new TestCollector(pki);
  await collector.start();
  const home = join(folder, String(nextHome++));
  mkdirSync(home);
  await pki.writeDevice(home, 'pump-3');
  const text = `
collector: {address: "127.0.0.1:${collector.port}"}
tls: {ca: ca.pem, cert: device.pem, key: device.key}
buffer: {path: ${join(disk, 'buffer.db')}, quota: 8MiB${buffer}}
batching: {maxAge: 20ms, maxAgeOffline: 20ms}
health: {metrics: "off", socket: "${join(home, 'status.sock')}"}
sources:
  - {type: simulator, name: sim, interval: 5ms, series: [{name: t, model: temperature}, {name: door, model: door}]}
`;
  return parseConfig(text, join(home, 'agent.yaml'), agentSchema);
}

async function start(config: AgentConfig): Promise<Agent> {
  agent = await startAgent(config, { log: pino({ level: 'silent' }) });
  return agent;
}

/** Takes all the room that there is, while others take it too. */
function fill(): void {
  const file = openSync(ballast, 'w');
  try {
    for (let bytes = 1 << 16; bytes >= 1; ) {
      try {
        writeSync(file, new Uint8Array(bytes));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}

/** After an orderly stop: every sequence is stored or declared, and so is every reading, to the last one. */
async function expectAccounts(): Promise<{ stored: number; declared: number }> {
  await agent!.stop();
  const { readings } = await agent!.status();
  const stored = [...collector.stored.values()];
  for (const { times } of stored) expect(times).toBe(1);
  const items = stored.map(({ item }) => item).sort((a, b) => a.sequence - b.sequence);
  const thinned = items
    .filter(({ kind }) => kind === ItemKind.THINNED_BATCH)
    .map(({ body }) => decodeThinnedBatch(Buffer.from(body)));
  // A thinned item stands for the batches that it replaced, and has what was kept of them.
  const entries = items
    .filter(({ kind }) => kind === ItemKind.DECLARATION)
    .flatMap(({ body }) => decodeDeclaration(Buffer.from(body)))
    .concat(thinned.flatMap(({ replaced }) => replaced));
  const known = new Set(items.map(({ sequence }) => sequence));
  for (const { first, last, bound } of entries) {
    expect(bound).toBe(false);
    for (let sequence = first; sequence <= last; sequence++) known.add(sequence);
  }
  const last = items.at(-1)!;
  expect(known.size).toBe(last.sequence);
  const sums = {
    stored:
      items.reduce((sum, item) => sum + item.readings, 0) +
      thinned.reduce((sum, { kept }) => sum + keptReadings(kept), 0),
    declared: entries.reduce((sum, entry) => sum + entry.readings, 0),
  };
  expect(sums.stored + sums.declared).toBe(last.readingsBefore + last.readings);
  expect(readings.taken).toBe(sums.stored + sums.declared);
  expect(readings.dropped.lost ?? 0).toBe(0);
  return sums;
}

/** The disk takes writes again: within ten seconds what waited is on it, and the collector gets more. */
async function expectRecovery(agent: Agent): Promise<void> {
  const healedMs = performance.now();
  const before = collector.readings;
  await eventually('what waited is on the disk', async () => {
    const { buffer, readings } = await agent.status();
    return buffer.trouble === undefined && readings.pending < 100;
  });
  expect(performance.now() - healedMs).toBeLessThan(10_000);
  await eventually('readings arrive', () => collector.readings > before);
}

describe.skipIf(!canMount)('an agent on a disk that refuses', () => {
  it.each([
    ['has no room', ['size=2m'], () => fill(), () => rmSync(ballast), ''],
    [
      'has no room, with deferred durability',
      ['size=2m'],
      () => fill(),
      () => rmSync(ballast),
      ', durability: deferred, lossWindow: 1s',
    ],
    [
      'has no inodes',
      ['size=2m', 'nr_inodes=8'],
      () => {
        for (let at = 0; at < 7; at++) writeFileSync(`${ballast}-${at}`, '');
      },
      () => {
        for (let at = 0; at < 7; at++) rmSync(`${ballast}-${at}`);
      },
      '',
    ],
    [
      'is read-only',
      ['size=2m'],
      () => execFileSync('mount', ['-o', 'remount,ro', disk]),
      () => execFileSync('mount', ['-o', 'remount,rw', disk]),
      '',
    ],
  ])('that %s starts, samples, and uses it when it can', async (_why, mountOptions, breakDisk, heal, buffer) => {
    const config = await configure(mountOptions, buffer);
    breakDisk();
    const running = await start(config);
    await eventually('readings wait in memory', async () => (await running.status()).readings.pending > 100);
    const { buffer: refused, sources } = await running.status();
    expect(refused.trouble).toMatch(/buffer\.db/);
    expect(sources).toEqual([{ name: 'sim', state: 'running' }]);
    heal();
    await expectRecovery(running);
    expect(await expectAccounts()).toMatchObject({ declared: 0 });
  });

  it('whose directory cannot be made starts too, and finds it when it is there', async () => {
    const config = await configure(['size=2m']);
    // Where the disk is to be mounted lies something else.
    const place = join(disk, 'mount');
    writeFileSync(place, '');
    const running = await start({ ...config, buffer: { ...config.buffer, path: join(place, 'buffer.db') } });
    await eventually('readings wait in memory', async () => (await running.status()).readings.pending > 50);
    rmSync(place);
    await expectRecovery(running);
    expect(await expectAccounts()).toMatchObject({ declared: 0 });
  });

  it('which fills up while it runs goes on sampling, counts what it gives up, and recovers', async () => {
    const config = await configure(['size=3m']);
    const running = await start(config);
    await eventually('readings arrive', () => collector.readings > 20);
    collector.kill();
    fill();
    await eventually('something is given up or waits', async () => {
      const { buffer, readings } = await running.status();
      return buffer.readingsEvicted + buffer.readingsThinned > 0 || readings.pending > 200;
    });
    const { readings } = await running.status();
    await eventually('sampling goes on', async () => {
      const { taken, pending } = (await running.status()).readings;
      return taken + pending > readings.taken + readings.pending + 20;
    });
    rmSync(ballast);
    await collector.start();
    await expectRecovery(running);
    await expectAccounts();
  });
});
