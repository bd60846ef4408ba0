import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { seededRandom } from '@tributary/core/clock/random';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeDeclaration } from './loss-entries.js';
import { SqliteBuffer } from './sqlite-buffer.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-sqlite-buffer-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = (): string => join(directory, `${files++}`, 'buffer.db');
const batch = (readings: number, bytes = 20) => ({ readings, body: new Uint8Array(bytes).fill(readings) });

async function all(buffer: SqliteBuffer): Promise<Item[]> {
  return (await buffer.read(1, 1 << 30, 1 << 20)).items;
}

describe('the buffer in its thread', () => {
  it('does what its interface says', async () => {
    const path = newPath();
    const buffer = await SqliteBuffer.open({ path, quotaBytes: 1 << 20 });
    const { epoch } = buffer.identity;
    expect(await buffer.append([batch(3), batch(4)])).toMatchObject({ sequences: [1, 2], stored: true });
    const [item] = await all(buffer);
    expect(item).toEqual({
      sequence: 1,
      kind: 1,
      readings: 3,
      readingsBefore: 0,
      body: batch(3).body,
      checksum: item.checksum,
    });
    expect(itemChecksum(epoch, 1, 1, 3, 0, item.body)).toBe(item.checksum);
    await buffer.acknowledge([{ first: 1, last: 1 }], epoch);
    await buffer.markInDoubt([{ first: 2, last: 2 }], epoch);
    const [series] = await buffer.addSeries([{ name: 't', unit: 'Cel', labels: { room: 'a' }, type: 1 }]);
    expect(series.id).toBe(1);
    const segment = { bootId: 'b', offsetUs: 1, observedAtUs: 2, uncertaintyUs: 3, state: 2 };
    expect(await buffer.addSegment(segment)).toEqual({ id: 1, ...segment });
    await buffer.quarantine(2, 3, 'why', epoch);
    await buffer.declare([{ epoch, first: 9, last: 9, readings: 0, bound: false, reason: 5 }]);
    await buffer.lose([{ readings: 6, reason: 1 }]);
    const status = await buffer.status();
    expect(status).toMatchObject({ highestSequence: 6, itemsWaiting: 3, readingsProduced: 13, itemsQuarantined: 1 });
    expect(status.bytesWritten).toBeGreaterThan(1_000);
    await buffer.close();
    await expect(buffer.append([batch(1)])).rejects.toMatchObject({ name: 'TributaryError' });

    const again = await SqliteBuffer.open({ path, quotaBytes: 1 << 20 });
    expect(again.identity).toMatchObject({ opened: 'clean', epoch, highestSequence: 6, series: [series] });
    const opened = await again.openEpoch();
    expect(opened.epoch).not.toEqual(epoch);
    expect(again.identity).toEqual(opened);
    // Verdicts of the old epoch say nothing about the new one.
    await again.acknowledge([{ first: 1, last: 99 }], epoch);
    expect((await again.status()).itemsWaiting).toBe(4);
    await again.close();
  });

  it('leaves the caller its bytes', async () => {
    const buffer = await SqliteBuffer.open({ path: newPath(), quotaBytes: 1 << 20 });
    const arena = new Uint8Array(4_096).fill(7);
    await buffer.append([{ body: arena.subarray(10, 20), readings: 1 }]);
    expect(arena.length).toBe(4_096);
    expect((await all(buffer))[0].body).toEqual(new Uint8Array(10).fill(7));
    await buffer.close();
  });

  it('tells a second agent within two seconds, and does not disturb the first', async () => {
    const path = newPath();
    const buffer = await SqliteBuffer.open({ path, quotaBytes: 1 << 20 });
    const started = performance.now();
    await expect(SqliteBuffer.open({ path, quotaBytes: 1 << 20 })).rejects.toMatchObject({ code: 'busy' });
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await buffer.append([batch(1)])).toMatchObject({ sequences: [1] });
    await buffer.close();
  });
});

/** Appends for ever, acknowledging now and then, and says after each append what is durable now. */
const writer = `
  const [module, path] = process.argv.slice(1);
  const { SqliteBuffer } = await import(module);
  const buffer = await SqliteBuffer.open({ path, quotaBytes: 40_000 });
  console.log('open');
  for (let at = 0; ; at++) {
    const batches = Array.from({ length: 1 + (at % 3) }, (_, n) => ({ readings: 1 + n, body: new Uint8Array(30 + (at % 400)) }));
    const { sequences } = await buffer.append(batches);
    console.log(sequences.at(-1));
    if (at % 7 === 0) await buffer.acknowledge([{ first: sequences[0] - 20, last: sequences[0] - 3 }], buffer.identity.epoch);
  }
`;

async function killAfter(path: string, delayMs: number): Promise<number> {
  const module = new URL('./sqlite-buffer.js', import.meta.url).href;
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', writer, module, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let durable = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line === 'open') setTimeout(() => child.kill('SIGKILL'), delayMs);
    else durable = Number(line);
  }
  await closed;
  return durable;
}

describe('a process that is killed while it appends', () => {
  it('has everything that was reported as durable, in order and with right counts', async () => {
    const kills = Number(process.env.TRIBUTARY_KILLS ?? 20);
    const random = seededRandom(20240229);
    const path = newPath();
    let epoch: Uint8Array | undefined;
    for (let kill = 0; kill < kills; kill++) {
      const durable = await killAfter(path, random() * 120);
      // The lock of the killed process is gone at once.
      const buffer = await SqliteBuffer.open({ path, quotaBytes: 40_000 });
      const { identity } = buffer;
      expect(identity).toMatchObject({
        opened: kill === 0 && durable === 0 ? expect.any(String) : 'unclean',
        isSuspect: false,
      });
      epoch ??= identity.epoch;
      expect(identity.epoch).toEqual(epoch);
      expect(identity.highestSequence).toBeGreaterThanOrEqual(durable);
      const items = await all(buffer);
      let before = items[0]?.readingsBefore ?? 0;
      for (const [at, item] of items.entries()) {
        expect(item.sequence).toBe(items[0].sequence + at);
        expect(item.readingsBefore).toBe(before);
        before += item.readings;
      }
      if (items.length > 0) {
        expect(items.at(-1)!.sequence).toBe(identity.highestSequence);
        expect(before).toBe(identity.readingsProduced);
      }
      const status = await buffer.status();
      expect(status.itemsWaiting).toBe(items.length);
      expect(status.itemsQuarantined).toBe(0);
      await buffer.close();
    }
  });
});

/** As an agent with deferred durability: appends, sends what is new, and has every other message answered. */
const deferredWriter = `
  const [module, path, lossWindowMs] = process.argv.slice(1);
  const { SqliteBuffer } = await import(module);
  const buffer = await SqliteBuffer.open({ path, quotaBytes: 1_000_000, lossWindowMs: Number(lossWindowMs) });
  const say = (...words) => new Promise((resolve) => process.stdout.write(words.join(' ') + '\\n', resolve));
  await say('open');
  let sent = 0;
  for (let at = 0; ; at++) {
    const body = crypto.getRandomValues(new Uint8Array(24));
    const { sequences } = await buffer.append([{ readings: 1 + (at % 5), body }]);
    await say('appended', sequences[0], Date.now());
    if (at % 5 === 0) {
      const { items } = await buffer.read(sent + 1, 1_000_000, 1_000);
      for (const item of items) await say('sent', item.sequence, item.checksum, item.kind);
      sent = items.at(-1)?.sequence ?? sent;
      if (at % 2 === 0) await buffer.acknowledge([{ first: 1, last: sent }], buffer.identity.epoch);
    }
    if (at % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 20));
  }
`;

const LOSS_WINDOW_MS = 150;
/** A thread that should run has to wait for its turn, on a machine that is busy. */
const TURN_MS = 1_000;

describe('a process that is killed while durability is deferred', () => {
  it('uses no sequence twice, and loses nothing that is older than the loss window', async () => {
    const kills = Number(process.env.TRIBUTARY_KILLS ?? 10);
    const random = seededRandom(20240302);
    const path = newPath();
    const module = new URL('./sqlite-buffer.js', import.meta.url).href;
    /** What has reached the collector, and what somebody declares. */
    const checksums = new Map<number, number>();
    const declared: { first: number; last: number }[] = [];
    let produced = 0;
    for (let kill = 0; kill < kills; kill++) {
      const args = ['--input-type=module', '-e', deferredWriter, module, path, String(LOSS_WINDOW_MS)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const closed = once(child, 'close');
      const appended: { sequence: number; atMs: number }[] = [];
      const arrived = new Set<number>();
      let killedMs = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        const [what, sequence, value] = line.split(' ');
        if (what === 'open') {
          setTimeout(
            () => {
              killedMs = Date.now();
              child.kill('SIGKILL');
            },
            random() * (TURN_MS + 500),
          );
        } else if (what === 'appended') appended.push({ sequence: Number(sequence), atMs: Number(value) });
        else {
          const had = checksums.get(Number(sequence));
          expect(had === undefined || had === Number(value), `bytes of ${sequence}`).toBe(true);
          checksums.set(Number(sequence), Number(value));
          arrived.add(Number(sequence));
        }
      }
      await closed;
      const buffer = await SqliteBuffer.open({ path, quotaBytes: 1_000_000, lossWindowMs: LOSS_WINDOW_MS });
      expect(buffer.identity.opened).not.toBe('recovered');
      expect(buffer.identity.highestSequence).toBeGreaterThanOrEqual(Math.max(0, ...checksums.keys()));
      expect(buffer.identity.readingsProduced).toBeGreaterThanOrEqual(produced);
      produced = buffer.identity.readingsProduced;
      const items = await all(buffer);
      for (const item of items) {
        const had = checksums.get(item.sequence);
        expect(had === undefined || had === item.checksum, `bytes of ${item.sequence}`).toBe(true);
        checksums.set(item.sequence, item.checksum);
        if (item.kind === 2) declared.push(...decodeDeclaration(item.body));
      }
      for (const { sequence, atMs } of appended) {
        if (killedMs - atMs > LOSS_WINDOW_MS + TURN_MS) expect(checksums.has(sequence), `${sequence}`).toBe(true);
      }
      for (let sequence = 1; sequence <= buffer.identity.highestSequence; sequence++) {
        const isDeclared = declared.some(({ first, last }) => first <= sequence && sequence <= last);
        expect(checksums.has(sequence) || isDeclared, `${sequence} is stored or declared`).toBe(true);
      }
      await buffer.close();
    }
  });
});
