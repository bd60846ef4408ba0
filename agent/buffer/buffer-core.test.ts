import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { LossReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { Database } from 'better-sqlite3';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { BufferCore } from './buffer-core.js';
import { openBufferFile } from './buffer-file.js';
import { DeferredItemTable } from './deferred-item-table.js';
import type { ItemTable } from './item-table.js';
import { decodeDeclaration } from './loss-entries.js';
import { MemoryItemTable } from './memory-item-table.js';
import { SqliteItemTable } from './sqlite-item-table.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-buffer-'));
const open: Database[] = [];
let files = 0;

/** A table, and a way to change its bytes as a failing disk would. */
interface Binding {
  table: ItemTable;
  damage(sequence: number): void;
  remove(sequence: number): void;
}

function memory(): Binding {
  const table = new MemoryItemTable();
  return {
    table,
    damage: (sequence) =>
      table.damage(sequence, (item) => {
        item.body[0] ^= 0x40;
      }),
    remove: (sequence) => {
      table.begin();
      table.deleteRange(sequence, sequence);
      table.commit();
    },
  };
}

/** Of the memory table as if that were the disk. What is damaged or removed there must be there. */
function deferred(): Binding {
  const disk = new MemoryItemTable();
  const table = new DeferredItemTable(disk, { lossWindowMs: 1_000, nowMs: () => 0 });
  return {
    table,
    damage: (sequence) => {
      table.flush();
      disk.damage(sequence, (item) => {
        item.body[0] ^= 0x40;
      });
    },
    remove: (sequence) => {
      table.flush();
      disk.begin();
      disk.deleteRange(sequence, sequence);
      disk.commit();
    },
  };
}

function sqlite(): Binding {
  const { db } = openBufferFile(join(directory, `${files++}.db`), 1 << 20);
  open.push(db);
  return {
    table: new SqliteItemTable(db),
    damage: (sequence) => {
      const item = db.prepare('SELECT body FROM items WHERE sequence = ?').get(sequence) as Item;
      item.body[0] ^= 0x40;
      db.prepare('UPDATE items SET body = ? WHERE sequence = ?').run(item.body, sequence);
    },
    remove: (sequence) => db.prepare('DELETE FROM items WHERE sequence = ?').run(sequence),
  };
}

afterEach(() => {
  for (const db of open.splice(0)) db.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const epochA = new Uint8Array(16).fill(1);
const epochB = new Uint8Array(16).fill(2);
const batch = (readings: number, bytes = 20) => ({ readings, body: new Uint8Array(bytes).fill(readings) });
/** Looks at what waits; nothing of it is sent. */
const all = (core: BufferCore): Item[] => {
  const items = core.read(1, 1 << 30, 1 << 20);
  core.stopSending(core.inDoubt);
  return items;
};
const sequences = (core: BufferCore): number[] => all(core).map((item) => item.sequence);
const newestEntries = (core: BufferCore) => decodeDeclaration(all(core).at(-1)!.body);

describe.each([
  ['in memory', memory],
  ['deferred', deferred],
  ['over SQLite', sqlite],
])('the policy %s', (_name, bind) => {
  it('assigns sequences and cumulative counts, and reads what it wrote', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    expect(core.append([batch(3), batch(4)])).toEqual({
      sequences: [1, 2],
      stored: true,
      evicted: [],
      evictedReadings: 0,
    });
    core.append([batch(5)]);
    expect(all(core).map(({ sequence, readings, readingsBefore }) => [sequence, readings, readingsBefore])).toEqual([
      [1, 3, 0],
      [2, 4, 3],
      [3, 5, 7],
    ]);
    expect(core.state.readingsProduced).toBe(12);
  });

  it('reads at least one item, and otherwise no more than was asked for', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    core.append([batch(1, 100), batch(2, 100), batch(3, 100)]);
    expect(core.read(1, 10, 10)).toHaveLength(1);
    expect(core.read(1, 250, 10)).toHaveLength(2);
    expect(core.read(2, 1000, 1)[0].sequence).toBe(2);
    expect(core.read(4, 1000, 1)).toEqual([]);
  });

  it('hides what was acknowledged at once, and deletes it with the next transaction', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(1), batch(2), batch(3)]);
    expect(sequences(core)).toEqual([1, 2, 3]);
    core.acknowledge([{ first: 2, last: 2 }]);
    expect(core.status()).toMatchObject({ itemsWaiting: 2, readingsWaiting: 4, oldestSequence: 1 });
    expect(table.totals().items).toBe(3);
    expect(sequences(core)).toEqual([1, 3]);
    core.acknowledge([{ first: 1, last: 2 }]);
    expect(core.status()).toMatchObject({ itemsWaiting: 1, readingsWaiting: 3, oldestSequence: 3 });
    core.append([batch(4)]);
    expect(table.totals().items).toBe(2);
    core.acknowledge([{ first: 1, last: 2 ** 52 }]);
    core.deleteAcknowledged();
    expect(table.totals().items).toBe(0);
    expect(core.append([batch(5)]).sequences).toEqual([5]);
  });

  it('continues where it was after a restart', () => {
    const { table } = bind();
    const before = new BufferCore(table, 1 << 20, epochA);
    before.append([batch(1), batch(2)]);
    before.addSegment({ bootId: 'b', offsetUs: -5, observedAtUs: 2 ** 50, uncertaintyUs: 7, state: 2 });
    const after = new BufferCore(table, 1 << 20, epochB);
    expect(after.identity('clean')).toEqual(before.identity('clean'));
    expect(after.identity('clean').segments).toHaveLength(1);
    expect(after.append([batch(1)]).sequences).toEqual([3]);
  });

  it('says on the disk that it sends before the first item leaves, once in a session', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(1), batch(2)]);
    expect(table.state()?.isSending).toBe(false);
    core.read(1, 1 << 20, 1);
    expect(table.state()?.isSending).toBe(true);
    core.stopSending([{ first: 1, last: 1 }]);
    core.append([batch(3)]);
    expect(table.state()).toMatchObject({ isSending: false, inDoubt: [{ first: 1, last: 1 }] });
  });

  it('doubts after a crash all that there was, until the collector has settled it', () => {
    const { table } = bind();
    const before = new BufferCore(table, 1 << 20, epochA);
    before.append([batch(1), batch(2)]);
    before.read(1, 1 << 20, 1);
    before.append([batch(3)]);
    const everything = [{ first: 1, last: 3 }];
    const crashed = new BufferCore(table, 1 << 20, epochB);
    expect(crashed.inDoubt).toEqual(everything);
    crashed.append([batch(4)]);
    // A session that ends before it has read anything settles nothing.
    crashed.stopSending([]);
    crashed.append([batch(5)]);
    const again = new BufferCore(table, 1 << 20, epochB);
    expect(again.inDoubt).toEqual(everything);
    again.markInDoubt([]);
    again.append([batch(6)]);
    expect(new BufferCore(table, 1 << 20, epochB).inDoubt).toEqual([]);
  });

  it('does not move to a new epoch what was acknowledged while the disk refused to be read', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(3), batch(4)]);
    const { headers } = table;
    table.headers = () => {
      throw new Error('input or output error');
    };
    expect(() => core.acknowledge([{ first: 1, last: 1 }])).toThrow('input or output error');
    table.headers = headers;
    const reopened = new BufferCore(table, 1 << 20, epochB);
    reopened.resume(core);
    reopened.openEpoch(epochB);
    expect(all(reopened).map(({ sequence, readings }) => [sequence, readings])).toEqual([
      [1, 4],
      [2, 0],
    ]);
  });

  it('leaves no row that was acknowledged behind when it writes that nothing is in doubt', () => {
    const { table } = bind();
    const before = new BufferCore(table, 1 << 20, epochA);
    before.append([batch(1), batch(2)]);
    before.read(1, 1 << 20, 1);
    before.stopSending([{ first: 1, last: 1 }]);
    before.acknowledge([{ first: 1, last: 1 }]);
    before.markInDoubt([]);
    before.lose([{ readings: 1, reason: LossReason.CRASH_WINDOW }]);
    expect(sequences(new BufferCore(table, 1 << 20, epochB))).toEqual([2, 4]);
  });

  it('keeps what is in doubt in few ranges, merged where they are nearest', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    const scattered = Array.from({ length: 100 }, (_, at) => ({ first: 10 * at + 1, last: 10 * at + 2 }));
    core.stopSending([...scattered, { first: 100_000, last: 100_000 }]);
    core.append([batch(1)]);
    const kept = new BufferCore(table, 1 << 20, epochB).inDoubt;
    expect(kept).toHaveLength(64);
    expect(kept.at(-1)).toEqual({ first: 100_000, last: 100_000 });
    expect(kept[0].first).toBe(1);
    expect(kept.at(-2)?.last).toBe(992);
  });

  it('moves a damaged item aside with the exact count that its neighbours give', () => {
    const { table, damage } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(3), batch(4), batch(5), batch(6)]);
    damage(2);
    damage(3);
    expect(sequences(core)).toEqual([1, 4]);
    expect(sequences(core)).toEqual([1, 4, 5]);
    expect(newestEntries(core)).toEqual([
      { epoch: epochA, first: 2, last: 3, readings: 9, bound: false, reason: LossReason.CORRUPT },
    ]);
    expect(core.status()).toMatchObject({ itemsQuarantined: 2, readingsWaiting: 9 });
  });

  it('answers the declaration of damage where nothing else waits, for whoever is answered nothing goes on behind it', () => {
    const { table, damage } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(3), batch(4)]);
    core.acknowledge([{ first: 1, last: 1 }]);
    damage(2);
    expect(sequences(core)).toEqual([3]);
    expect(newestEntries(core)).toMatchObject([{ first: 2, last: 2, readings: 4 }, {}]);
    expect(core.status()).toMatchObject({ highestSequence: 3, itemsWaiting: 1 });
  });

  it('believes the header of a damaged item when it leads to its neighbour without a break', () => {
    const { table, damage } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(3), batch(4), batch(5)]);
    core.acknowledge([{ first: 1, last: 1 }]);
    core.append([batch(1)]);
    damage(2);
    core.read(1, 1 << 20, 10);
    expect(newestEntries(core)).toMatchObject([
      { first: 2, last: 2, readings: 4, bound: false },
      // Its number may be what is damaged; stored beats declared.
      { first: 1, last: 1, readings: 0, bound: true },
    ]);
  });

  it('declares with a bound what a damaged declaration may have declared', () => {
    const { table, damage } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    core.append([batch(3)]);
    core.lose([{ readings: 7, reason: LossReason.CRASH_WINDOW }]);
    core.append([batch(5)]);
    damage(3);
    core.read(1, 1 << 20, 10);
    expect(newestEntries(core)).toMatchObject([{ first: 2, last: 3, readings: 7, bound: true }]);
  });

  it('declares rows that vanished from the file', () => {
    const { table, remove } = bind();
    const before = new BufferCore(table, 1 << 20, epochA);
    before.append([batch(3), batch(4), batch(5)]);
    remove(2);
    const core = new BufferCore(table, 1 << 20, epochB);
    expect(newestEntries(core)).toMatchObject([{ first: 2, last: 2, readings: 4, bound: true, reason: 3 }]);
    expect(core.status()).toMatchObject({ itemsWaiting: 3, readingsWaiting: 8 });
  });

  it('quarantines and declares what the collector rejects, once', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    core.append([batch(3), batch(4)]);
    core.quarantine(1, RejectionReason.MALFORMED, 'column 2');
    core.quarantine(1, RejectionReason.MALFORMED, 'column 2');
    expect(sequences(core)).toEqual([2, 3]);
    expect(newestEntries(core)).toEqual([
      { epoch: epochA, first: 1, last: 1, readings: 3, bound: false, reason: LossReason.REJECTED },
    ]);
  });

  it('gives back the entries of a declaration that was damaged on the way', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    core.lose([{ readings: 7, reason: LossReason.EVICTED, bound: true }]);
    core.quarantine(2, RejectionReason.CHECKSUM, '');
    expect(newestEntries(core)).toMatchObject([
      { first: 2, readings: 0, reason: LossReason.REJECTED },
      { first: 1, readings: 7, bound: true, reason: LossReason.EVICTED },
    ]);
  });

  it('keeps what it has when a batch is too large for the quota, and declares the batch', () => {
    const core = new BufferCore(bind().table, 4_000, epochA);
    core.append([batch(1)]);
    expect(core.append([batch(9, 5_000), batch(2)])).toEqual({
      sequences: [2, 3],
      stored: false,
      evicted: [],
      evictedReadings: 9,
    });
    expect(sequences(core)).toEqual([1, 3, 4]);
    expect(newestEntries(core)).toMatchObject([{ first: 2, last: 2, readings: 9, reason: LossReason.EVICTED }]);
  });

  it('refuses rather than drops when the disk is what is too small', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    core.append([batch(1)]);
    expect(() => core.append([batch(9, 5_000)], 300)).toThrow('no space');
    expect(core.state).toMatchObject({ highestSequence: 1, readingsProduced: 1, itemsStored: 1 });
  });

  it('declares each series once, whatever the order of its labels', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    const series = { name: 't', unit: 'Cel', labels: { a: '1', b: '2' }, type: 1 };
    const twin = { ...series, labels: { b: '2', a: '1' } };
    expect(core.addSeries([series, twin, { ...series, unit: '' }]).map(({ id }) => id)).toEqual([1, 1, 2]);
    const reopened = new BufferCore(table, 1 << 20, epochB);
    expect(reopened.addSeries([twin])).toEqual([{ id: 1, ...series }]);
  });

  it('moves to a new epoch with its catalogue, and renumbers what waits', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    core.addSeries([{ name: 't', unit: '', labels: {}, type: 1 }]);
    core.append([batch(1), batch(2), batch(3), batch(4)]);
    core.acknowledge([
      { first: 1, last: 1 },
      { first: 3, last: 3 },
    ]);
    core.openEpoch(epochB);
    expect(all(core).map(({ sequence, readings, readingsBefore }) => [sequence, readings, readingsBefore])).toEqual([
      [1, 2, 0],
      [2, 4, 2],
      [3, 0, 6],
    ]);
    expect(newestEntries(core)).toMatchObject([
      { epoch: epochA, first: 2, last: 2, readings: 0 },
      { epoch: epochA, first: 4, last: 4, readings: 0 },
    ]);
    expect(core.identity('clean')).toMatchObject({ epoch: epochB, highestSequence: 3, readingsProduced: 6 });
    expect(core.identity('clean').series).toHaveLength(1);
  });

  it('stores each transition of an incident once, and moves the cursor with it', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1 << 20, epochA);
    const firing = { number: 7, incidentId: epochA, state: 2 } as Alert;
    const resolved = { ...firing, number: 8, state: 3 };
    expect(core.storeAlerts([firing])).toEqual({ fresh: [0], intents: [] });
    expect(core.storeAlerts([firing, resolved])).toEqual({ fresh: [1], intents: [] });
    expect(new BufferCore(table, 1 << 20, epochB).state.alertCursor).toBe(8);
  });

  it('remembers the newest ten thousand transitions', () => {
    const core = new BufferCore(bind().table, 1 << 20, epochA);
    const alert = (number: number) => {
      const incidentId = new Uint8Array(16);
      new DataView(incidentId.buffer).setUint32(0, number);
      return { number, incidentId, state: 2 } as Alert;
    };
    const alerts = Array.from({ length: 10_001 }, (_, at) => alert(at + 1));
    expect(core.storeAlerts(alerts).fresh).toHaveLength(10_001);
    expect(core.storeAlerts([alerts[1], alerts[0]])).toEqual({ fresh: [1], intents: [] });
  });

  it('takes back a transaction that was reported as failed and is there after all', () => {
    const { table } = bind();
    const core = new BufferCore(table, 1_200, epochA);
    core.append([batch(1, 400)]);
    const before = { state: core.state, newestAlert: core.newestAlert };
    core.append([batch(2, 400), batch(3, 5_000)]);
    core.append([batch(4, 400)]);
    core.storeAlerts([{ number: 7, incidentId: epochA, state: 2 } as Alert]);
    const again = new BufferCore(table, 1_200, epochB);
    again.withdraw(before);
    expect(again.state).toMatchObject({ readingsProduced: 1, alertCursor: 0 });
    // The first batch had to make room; it stays declared, under the sequence that is free again.
    expect(all(again).map(({ sequence, kind }) => [sequence, kind])).toEqual([[2, 2]]);
    expect(newestEntries(again)).toMatchObject([{ first: 1, last: 1, readings: 1 }]);
    expect(again.storeAlerts([{ number: 7, incidentId: epochA, state: 2 } as Alert]).fresh).toEqual([0]);
  });

  it('goes on with the catalogue that was answered, whatever a failed commit or damage left of it', () => {
    const { table } = bind();
    const segment = { bootId: 'boot', offsetUs: 1, observedAtUs: 2, uncertaintyUs: 3, state: 1 };
    const anchor = { segment: 1, atUs: 4, offsetUs: 5, uncertaintyUs: 6, state: 1 };
    const core = new BufferCore(table, 1_200, epochA);
    core.addSeries([{ name: 'a', unit: '', labels: {}, type: 1 }]);
    core.addSegment(segment);
    core.addAnchor(anchor);
    // Another core over the same table stands for calls whose commit was reported as failed and is there.
    const failed = new BufferCore(table, 1_200, epochA);
    failed.addSegment({ ...segment, offsetUs: 7 });
    failed.addAnchor({ ...anchor, offsetUs: 7 });
    const again = new BufferCore(table, 1_200, epochB);
    again.resume(core);
    expect(again.addSegment({ ...segment, offsetUs: 8 })).toMatchObject({ id: 2 });
    expect(again.addAnchor({ ...anchor, offsetUs: 8 })).toMatchObject({ id: 2 });
    expect(new BufferCore(table, 1_200, epochB).identity('clean')).toMatchObject({
      series: [{ id: 1, name: 'a' }],
      segments: [
        { id: 1, offsetUs: 1 },
        { id: 2, offsetUs: 8 },
      ],
      anchors: [
        { id: 1, offsetUs: 5 },
        { id: 2, offsetUs: 8 },
      ],
    });
  });
});
