import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alert, batches, bytes16, commit, NOW_US, part, register, registration } from '../conformance/data.js';
import { packCommit } from '../packed-commit.js';
import { writerOperations } from './engine.js';
import { MIGRATIONS, openReader, openWriter } from './schema.js';
import { toStoreError } from './sqlite-errors.js';
import { SqliteStore } from './sqlite-store.js';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-schema-'));
  path = join(folder, 'tributary.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the SQLite file', () => {
  it('is durable: write-ahead log, synchronous FULL', () => {
    const db = openWriter(path);
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(db.pragma('synchronous', { simple: true })).toBe(2);
    db.close();
  });

  it('belongs to one collector, and is free when that one is gone', async () => {
    const first = await SqliteStore.open({ path });
    await expect(SqliteStore.open({ path })).rejects.toMatchObject({
      name: 'StoreError',
      code: 'busy',
      message: expect.stringContaining('another collector'),
    });
    await register(first, 'd');
    await first.close();
    const second = await SqliteStore.open({ path });
    expect(await second.findDevice({ tenant: '', device: 'd' })).toBe(1);
    await second.close();
  });

  it('can be read by SQL tools while the collector has it', async () => {
    const store = await SqliteStore.open({ path });
    await commit(store, await register(store, 'd'), batches(1, 3));
    const tool = new Database(path, { readonly: true });
    expect(tool.prepare('SELECT device, items_stored FROM devices').get()).toEqual({ device: 'd', items_stored: 3 });
    tool.close();
    await store.close();
  });

  it('is refused when it is something else or newer', async () => {
    writeFileSync(path, 'this is a text file, and long enough to be looked at as a database header. '.repeat(20));
    await expect(SqliteStore.open({ path })).rejects.toMatchObject({ code: 'corrupt' });
    rmSync(path);
    const other = new Database(path);
    other.exec('CREATE TABLE groceries (name TEXT)');
    other.close();
    await expect(SqliteStore.open({ path })).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('something else'),
    });
    rmSync(path);
    const newer = openWriter(path);
    newer.pragma('user_version = 1000');
    newer.close();
    await expect(SqliteStore.open({ path })).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('version 1000'),
    });
  });

  it('is brought up to date from each earlier version, and keeps what it holds', async () => {
    for (let version = 1; version < MIGRATIONS.length; version++) {
      rmSync(path, { force: true });
      const old = new Database(path);
      for (const migration of MIGRATIONS.slice(0, version)) old.exec(migration);
      old.pragma(`application_id = ${0x54726253}`);
      old.pragma(`user_version = ${version}`);
      old.exec(`INSERT INTO devices (tenant, device, start_id, fencing_token, agent_version, attributes, first_seen_us, last_seen_us)
        VALUES ('', 'old', x'00', 1, '', '{}', 0, 0)`);
      old.close();
      const store = await SqliteStore.open({ path });
      expect(await store.findDevice({ tenant: '', device: 'old' })).toBe(1);
      await commit(store, await register(store, 'old'), batches(1, 3));
      await store.close();
    }
  });

  it('makes incidents of the alerts of an earlier version', async () => {
    const old = new Database(path);
    for (const migration of MIGRATIONS.slice(0, 4)) old.exec(migration);
    old.pragma(`application_id = ${0x54726253}`);
    old.pragma('user_version = 4');
    old.exec(`INSERT INTO devices (tenant, device, start_id, fencing_token, agent_version, attributes, alert_number,
      first_seen_us, last_seen_us) VALUES ('', 'old', x'00', 1, '', '{}', 3, 0, 0)`);
    const insert = old.prepare('INSERT INTO alerts VALUES (NULL, 1, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)');
    // 1 began earlier than was told and is over, 2 fires, 3 was history.
    const alerts: [number, number, AlertState, number, number, boolean][] = [
      [1, 1, AlertState.FIRING, 10, 12, false],
      [2, 2, AlertState.FIRING, 20, 20, false],
      [0, 1, AlertState.FIRING, 5, 15, true],
      [0, 3, AlertState.FIRING, 1, 1, true],
      [0, 3, AlertState.RESOLVED, 1, 2, true],
      [3, 1, AlertState.RESOLVED, 10, 30, false],
    ];
    for (const [number, incident, state, startedAtUs, transitionAtUs, late] of alerts) {
      const { alert: made } = alert(1, incident, state, late);
      const message = Alert.encode({ ...made, number, startedAtUs, transitionAtUs }).finish();
      const { incidentId, rule, severity } = made;
      insert.run(number, incidentId, state, rule, severity, startedAtUs, transitionAtUs, late ? 1 : 0, message);
    }
    old.close();
    const store = await SqliteStore.open({ path });
    const { incidents } = await store.readIncidents({ openOnly: false, withRetracted: true }, '', 10);
    expect(incidents).toMatchObject([
      { incidentId: bytes16(3), startedAtUs: 1, resolvedAtUs: 2, notified: false, events: 2 },
      { incidentId: bytes16(2), startedAtUs: 20, resolvedAtUs: undefined, notified: true, alert: { number: 2 } },
      { incidentId: bytes16(1), startedAtUs: 5, firedAtUs: 12, resolvedAtUs: 30, notified: true, alert: { number: 3 } },
    ]);
    expect(await store.incidentEvents(bytes16(1))).toEqual([
      { kind: IncidentEventKind.FIRED, atUs: 12, by: '', text: '' },
      { kind: IncidentEventKind.FIRED, atUs: 15, by: '', text: 'late' },
      { kind: IncidentEventKind.RESOLVED, atUs: 30, by: '', text: '' },
    ]);
    expect((await store.readAlerts(1, 0, 10)).map(({ number }) => number)).toEqual([1, 2, 3]);
    await store.keepReceivers(['mail'], NOW_US, 0);
    expect((await store.receiverStates())[0].length).toBe(1);
    await store.close();
  });

  it('fails a commit as a whole at its quota, takes alerts all the same, and takes it again when there is room', () => {
    const db = openWriter(path);
    const operations = writerOperations(db, 400_000);
    const outcome = operations.register(registration('d'));
    if (outcome.outcome !== 'registered') throw new Error(outcome.detail);
    const body = new Uint8Array(3000).fill(1);
    const commitOf = (first: number, last: number) =>
      packCommit([part(outcome.device, batches(first, last, { body }))], NOW_US);
    operations.commit(commitOf(1, 50));
    let code: string | undefined;
    try {
      operations.commit(commitOf(51, 200));
    } catch (error) {
      code = toStoreError(error)?.code;
    }
    expect(code).toBe('full');
    expect(() => operations.probe()).not.toThrow();
    const count = db.prepare('SELECT max(last_sequence) FROM chunks').pluck();
    expect(count.get()).toBe(50);
    const records = Array.from({ length: 200 }, (_, at) => alert(1, at, AlertState.FIRING));
    expect(operations.appendAlerts(records, NOW_US)).toHaveLength(200);
    operations.saveDerived({
      marks: [{ deviceId: 1, position: 1 }],
      rollups: new Float64Array(0),
      ruleStates: [],
    });
    expect(operations.expireStep(Number.MAX_SAFE_INTEGER, undefined).readings).toBe(500);
    operations.commit(commitOf(51, 100));
    expect(count.get()).toBe(100);
    db.close();
  });

  it('gives a reader whole commits and lets it write nothing', () => {
    const writer = openWriter(path);
    const reader = openReader(path);
    expect(() => reader.exec('DELETE FROM devices')).toThrow(/readonly/);
    reader.close();
    writer.close();
  });
});

describe('damaged bytes', () => {
  it('are never answered, are told, and are missing in the audit', async () => {
    const damage: unknown[] = [];
    const open = () => SqliteStore.open({ path, onDamage: (one) => damage.push(one) });
    let store = await open();
    const device = await register(store, 'd');
    const { deviceId } = device;
    await commit(store, device, batches(1, 3));
    await commit(store, device, batches(4, 6));
    await store.close();
    const tool = new Database(path);
    const rows = tool.prepare<[], { chunk_id: number; body: Buffer }>('SELECT chunk_id, body FROM chunks').all();
    const update = tool.prepare('UPDATE chunks SET body = ? WHERE chunk_id = ?');
    // The last byte is of the last body; byte 12 is in the heads.
    rows[0].body[rows[0].body.length - 1] ^= 1;
    rows[1].body[12] ^= 1;
    for (const { body, chunk_id } of rows) update.run(body, chunk_id);
    tool.close();
    store = await open();
    const read = await store.readAfter(deviceId, 0, 1e6);
    expect(read.flatMap(({ items }) => items.map(({ sequence }) => sequence))).toEqual([1, 2]);
    expect(damage).toEqual([
      { deviceId, epochId: 1, first: 3, last: 3 },
      { deviceId, epochId: 1, first: 4, last: 6 },
    ]);
    expect((await store.audit(undefined))[0]).toMatchObject({ produced: 60, stored: 20, missing: 40 });
    await store.close();
  });
});
