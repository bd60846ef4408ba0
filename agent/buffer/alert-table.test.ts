import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { type NewIntent, Standing, type StoredStatus } from './alert-table.js';
import { BufferCore } from './buffer-core.js';
import { DeferredItemTable } from './deferred-item-table.js';
import type { ItemTable } from './item-table.js';
import { MemoryItemTable } from './memory-item-table.js';
import { MIGRATIONS } from './schema.js';
import { SqliteItemTable } from './sqlite-item-table.js';

const epoch = new Uint8Array(16).fill(1);
const databases: Database.Database[] = [];
afterEach(() => {
  for (const database of databases.splice(0)) database.close();
});

function database(): Database.Database {
  const db = new Database(':memory:');
  databases.push(db);
  for (const migration of MIGRATIONS) db.exec(migration);
  // What the item table asserts of a file.
  db.pragma('synchronous = FULL');
  return db;
}

const bindings: [string, () => ItemTable][] = [
  ['in memory', () => new MemoryItemTable()],
  ['in SQLite', () => new SqliteItemTable(database())],
  ['deferred', () => new DeferredItemTable(new MemoryItemTable(), { lossWindowMs: 1000, nowMs: () => 0 })],
];

const open = (table: ItemTable) => new BufferCore(table, 1 << 20, epoch);

function alert(incident: number, state = 2, change: Partial<Alert> = {}): Alert {
  const incidentId = new Uint8Array(16);
  new DataView(incidentId.buffer).setUint32(0, incident);
  return { number: 0, incidentId, state, late: false, ...change } as Alert;
}

const intent = (at: number, action: string): NewIntent => ({
  alert: at,
  action,
  standing: Standing.open,
  body: Uint8Array.of(at, 7),
});

describe.each(bindings)('what is to be done about alerts, %s', (_, bind) => {
  it('is stored with those that are new, and found again in order until it is settled', () => {
    const table = bind();
    const core = open(table);
    const first = core.storeAlerts([alert(1), alert(2)], [intent(0, 'siren'), intent(1, 'siren'), intent(1, 'pump')]);
    expect(first).toEqual({ fresh: [0, 1], intents: [1, 2, 3] });
    const again = core.storeAlerts([alert(2), alert(3)], [intent(0, 'siren'), intent(1, 'pump')]);
    expect(again).toEqual({ fresh: [1], intents: [0, 4] });
    core.settleIntents(
      [
        { id: 1, standing: Standing.done, reason: '' },
        { id: 3, standing: Standing.kept, reason: '' },
        { id: 4, standing: Standing.skipped, reason: 'old' },
      ],
      [],
    );
    expect(open(table).recallAlerts()).toEqual({
      intents: [
        { id: 2, action: 'siren', standing: Standing.open, body: Uint8Array.of(1, 7) },
        { id: 3, action: 'pump', standing: Standing.kept, body: Uint8Array.of(1, 7) },
      ],
      damagedIntents: 0,
      statuses: [],
    });
  });

  it('is open from the start on that is told of it, though it was kept until then', () => {
    const table = bind();
    const core = open(table);
    core.storeAlerts([alert(1)], [intent(0, 'siren')]);
    core.settleIntents([{ id: 1, standing: Standing.kept, reason: 'stopped' }], []);
    expect(open(table).recallAlerts().intents).toMatchObject([{ id: 1, standing: Standing.kept }]);
    expect(open(table).recallAlerts().intents).toMatchObject([{ id: 1, standing: Standing.open }]);
    core.settleIntents([{ id: 1, standing: Standing.done, reason: '' }], []);
    core.settleIntents([{ id: 1, standing: Standing.kept, reason: 'stopped' }], []);
    expect(open(table).recallAlerts().intents).toEqual([]);
  });

  it('is the same for an incident that the device judged first and the collector numbered later', () => {
    const core = open(bind());
    expect(core.storeAlerts([alert(1)], [intent(0, 'siren')]).fresh).toEqual([0]);
    expect(core.storeAlerts([alert(1, 2, { number: 9 })], [intent(0, 'siren')])).toEqual({ fresh: [], intents: [0] });
    expect(core.state.alertCursor).toBe(9);
    // What comes late says nothing about whether the incident's end has been acted on.
    expect(core.storeAlerts([alert(1, 3, { number: 10, late: true })]).fresh).toEqual([0]);
    expect(core.storeAlerts([alert(1, 3, { number: 11 })]).fresh).toEqual([0]);
  });

  it('keeps the newest thousand that are settled, and all that wait', () => {
    const table = bind();
    const core = open(table);
    core.storeAlerts([alert(0)], [intent(0, 'waits')]);
    for (let at = 1; at <= 1_100; at++) {
      const { intents } = core.storeAlerts([alert(at)], [intent(0, 'siren')]);
      core.settleIntents([{ id: intents[0], standing: Standing.done, reason: '' }], []);
    }
    expect(core.recallAlerts().intents.map(({ action }) => action)).toEqual(['waits']);
    core.settleIntents([{ id: 2, standing: Standing.kept, reason: '' }], []);
    expect(core.recallAlerts().intents).toHaveLength(1);
  });

  it('is taken back with the alert when the call had failed, and can come again', () => {
    const table = bind();
    const before = open(table);
    before.storeAlerts([alert(1)], [intent(0, 'siren')]);
    // Another core over the same table stands for a call whose commit was reported as failed and is there.
    open(table).storeAlerts([alert(2)], [intent(0, 'siren')]);
    const after = open(table);
    after.withdraw(before);
    expect(after.recallAlerts().intents.map(({ id }) => id)).toEqual([1]);
    expect(after.storeAlerts([alert(1), alert(2)], [intent(1, 'siren')])).toEqual({ fresh: [1], intents: [2] });
  });

  it('is as before when the disk fails in the transaction', () => {
    const table = bind();
    const core = open(table);
    core.storeAlerts([alert(1)], [intent(0, 'siren')]);
    const heat = { name: 'heat', value: 'ok', sinceUs: 5, incidents: new Uint8Array(0) };
    core.settleIntents([], [heat]);
    const { commit } = table;
    table.commit = () => {
      throw new Error('the disk failed');
    };
    expect(() => core.storeAlerts([alert(2)], [intent(0, 'pump')])).toThrow('the disk failed');
    const settled = { id: 1, standing: Standing.done, reason: '' } as const;
    expect(() => core.settleIntents([settled], [{ ...heat, value: 'too warm' }])).toThrow('the disk failed');
    table.commit = commit;
    expect(core.recallAlerts()).toMatchObject({ intents: [{ id: 1, action: 'siren' }], statuses: [heat] });
    expect(core.storeAlerts([alert(2)], [intent(0, 'pump')])).toEqual({ fresh: [0], intents: [2] });
  });

  it('keeps a status by its name', () => {
    const table = bind();
    const core = open(table);
    const status = (name: string, value: string): StoredStatus => ({
      name,
      value,
      sinceUs: 1.7e15,
      incidents: new Uint8Array(16),
    });
    core.settleIntents([], [status('b', 'ok'), status('a', 'ok')]);
    core.settleIntents([], [status('b', 'too warm')]);
    expect(open(table).recallAlerts().statuses).toEqual([status('a', 'ok'), status('b', 'too warm')]);
  });
});

describe('rows about alerts that are damaged', () => {
  it('are never acted on nor shown', () => {
    const db = database();
    const core = open(new SqliteItemTable(db));
    core.storeAlerts([alert(1), alert(2)], [intent(0, 'siren'), intent(1, 'siren')]);
    core.settleIntents(
      [{ id: 1, standing: Standing.done, reason: '' }],
      [{ name: 'heat', value: 'ok', sinceUs: 5, incidents: new Uint8Array(16) }],
    );
    db.exec("UPDATE intents SET standing = 0 WHERE id = 1; UPDATE statuses SET value = 'fine'");
    expect(core.recallAlerts()).toMatchObject({ intents: [{ id: 2 }], damagedIntents: 1, statuses: [] });
    expect(core.recallAlerts()).toMatchObject({ intents: [{ id: 2 }], damagedIntents: 0 });
  });
});
