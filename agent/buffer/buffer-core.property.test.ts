import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferCore } from './buffer-core.js';
import { openBufferFile } from './buffer-file.js';
import { DeferredItemTable } from './deferred-item-table.js';
import type { ItemTable } from './item-table.js';
import { decodeDeclaration } from './loss-entries.js';
import { MemoryItemTable } from './memory-item-table.js';
import { rowBytes } from './row-size.js';
import { SqliteItemTable } from './sqlite-item-table.js';

type Operation =
  | { do: 'append'; batches: { readings: number; bytes: number }[] }
  | { do: 'upload'; from: number; count: number; fate: 'answered' | 'arrived' | 'lost' }
  | { do: 'reject'; at: number }
  | { do: 'lose'; readings: number }
  | { do: 'idle' }
  | { do: 'restart' }
  | { do: 'new epoch' }
  | { do: 'fault'; after: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      batches: fc.array(
        fc.record({ readings: fc.integer({ min: 1, max: 9 }), bytes: fc.integer({ min: 4, max: 900 }) }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('upload' as const),
      from: fc.nat(9),
      count: fc.integer({ min: 1, max: 6 }),
      fate: fc.constantFrom('answered' as const, 'arrived' as const, 'lost' as const),
    }),
  },
  fc.record({ do: fc.constant('reject' as const), at: fc.nat(9) }),
  fc.record({ do: fc.constant('lose' as const), readings: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ do: fc.constant('idle' as const) }),
  fc.record({ do: fc.constant('restart' as const) }),
  fc.record({ do: fc.constant('new epoch' as const) }),
  fc.record({ do: fc.constant('fault' as const), after: fc.nat(12) }),
);

/** What the outside world knows: each batch that was ever produced, and what the collector has stored. */
class World {
  readonly produced = new Map<number, number>();
  readonly collector = new Map<string, Item>();
  /** The highest sequence of each epoch. */
  readonly highest = new Map<string, number>();
  lostBeforeStored = 0;
  nextId = 1;
}

const QUOTA_BYTES = 4_000;
const EVERYTHING = Number.MAX_SAFE_INTEGER;
/** What waits; nothing of it is sent. */
const look = (core: BufferCore): Item[] => {
  const items = core.read(1, EVERYTHING, EVERYTHING);
  core.stopSending(core.inDoubt);
  return items;
};
const hex = (epoch: Uint8Array): string => Buffer.from(epoch).toString('hex');
const idOf = (item: Item): number => Buffer.from(item.body).readUInt32LE(0);

function run(table: ItemTable, setFault: ((after: number | undefined) => void) | undefined, operations: Operation[]) {
  const world = new World();
  let epochs = 0;
  const newEpoch = (): Uint8Array => new Uint8Array(16).fill(++epochs);
  let core = new BufferCore(table, QUOTA_BYTES, newEpoch());
  for (const each of operations) {
    switch (each.do) {
      case 'append': {
        const batches = each.batches.map(({ readings, bytes }) => {
          const body = new Uint8Array(bytes);
          const id = world.nextId++;
          Buffer.from(body.buffer).writeUInt32LE(id, 0);
          world.produced.set(id, readings);
          return { body, readings };
        });
        appendAndCheck(core, batches);
        break;
      }
      case 'upload': {
        const sent = look(core).slice(each.from, each.from + each.count);
        const ranges = sent.map(({ sequence }) => ({ first: sequence, last: sequence }));
        if (each.fate !== 'lost') {
          for (const item of sent) world.collector.set(`${hex(core.state.epoch)}/${item.sequence}`, item);
        }
        if (each.fate === 'answered') core.acknowledge(ranges);
        else core.markInDoubt(ranges);
        break;
      }
      case 'reject': {
        const item = look(core)[each.at];
        // What the collector has, and what declares, is not rejected.
        if (item === undefined || item.kind !== 1) break;
        if (world.collector.has(`${hex(core.state.epoch)}/${item.sequence}`)) break;
        core.quarantine(item.sequence, 3, 'malformed');
        break;
      }
      case 'lose':
        world.lostBeforeStored += each.readings;
        core.lose([{ readings: each.readings, reason: 5 }]);
        break;
      case 'idle':
        core.deleteAcknowledged();
        break;
      case 'restart':
        core = new BufferCore(table, QUOTA_BYTES, newEpoch());
        // As after Register: what is durable is told again.
        core.acknowledge(durable(world, core));
        break;
      case 'new epoch':
        core.acknowledge(durable(world, core));
        core.openEpoch(newEpoch());
        break;
      case 'fault': {
        if (setFault === undefined) break;
        const before = JSON.stringify([core.state, look(core)]);
        setFault(each.after);
        let failed = false;
        try {
          core.append([{ body: new Uint8Array(800).fill(0xff), readings: 0 }]);
        } catch {
          failed = true;
        }
        setFault(undefined);
        if (failed) expect(JSON.stringify([core.state, look(core)])).toBe(before);
        else world.produced.set(0xffffffff, 0);
        break;
      }
    }
    checkAccounts(world, core);
  }
}

function durable(world: World, core: BufferCore): { first: number; last: number }[] {
  const ranges: { first: number; last: number }[] = [];
  for (const key of world.collector.keys()) {
    const [epoch, sequence] = key.split('/');
    if (epoch === hex(core.state.epoch)) ranges.push({ first: Number(sequence), last: Number(sequence) });
  }
  return ranges;
}

function appendAndCheck(core: BufferCore, batches: { body: Uint8Array; readings: number }[]): void {
  const before = look(core);
  const doubted = (sequence: number): boolean =>
    core.inDoubt.some(({ first, last }) => first <= sequence && sequence <= last);
  const start = core.state.highestSequence;
  const outcome = core.append(batches);
  expect(outcome.sequences).toEqual(batches.map((_, at) => start + at + 1));
  const left = new Set(look(core).map((item) => item.sequence));
  const evicted = before.filter((item) => !left.has(item.sequence));
  const newestSpared = evicted.filter((item) => !doubted(item.sequence)).at(-1);
  for (const item of before) {
    if (!left.has(item.sequence) || doubted(item.sequence)) continue;
    // Oldest first: nothing that is left is older than what went. In doubt last: if such went, nothing else is left.
    expect(item.sequence).toBeGreaterThan(newestSpared?.sequence ?? 0);
    expect(evicted.some(({ sequence }) => doubted(sequence))).toBe(false);
  }
  const stored = look(core);
  const declarations = stored.filter((item) => item.kind === 2);
  const bytes = stored.reduce((sum, item) => sum + rowBytes(item.body.length), 0);
  const declared = declarations.reduce((sum, item) => sum + rowBytes(item.body.length), 0);
  if (bytes > QUOTA_BYTES) expect(bytes - declared).toBeLessThanOrEqual(QUOTA_BYTES);
}

/** produced = waiting + stored at the collector + declared, item by item and in readings, in each epoch. */
function checkAccounts(world: World, core: BufferCore): void {
  const waiting = look(core);
  const { epoch, highestSequence, readingsProduced } = core.state;
  const known = new Map(world.collector);
  for (const item of waiting) known.set(`${hex(epoch)}/${item.sequence}`, item);

  const entries = new Map<string, LedgerEntry>();
  const ids = new Set<number>();
  let storedReadings = 0;
  for (const [key, item] of known) {
    if (item.kind === 2) {
      for (const entry of decodeDeclaration(item.body)) {
        entries.set(`${hex(entry.epoch)}/${entry.first}/${entry.last}/${entry.reason}`, entry);
      }
      continue;
    }
    const itemEpoch = Buffer.from(key.split('/')[0], 'hex');
    const { sequence, kind, readings, readingsBefore, body } = item;
    expect(itemChecksum(itemEpoch, sequence, kind, readings, readingsBefore, body)).toBe(item.checksum);
    if (idOf(item) === 0xffffffff) continue;
    expect(ids.has(idOf(item)), 'stored once').toBe(false);
    ids.add(idOf(item));
    storedReadings += readings;
  }
  // Stored beats declared: what was evicted while in doubt and has arrived counts once.
  let declaredReadings = 0;
  const covered: [string, number, number][] = [];
  for (const entry of entries.values()) {
    covered.push([hex(entry.epoch), entry.first, entry.last]);
    declaredReadings += entry.readings;
    for (const [key, item] of world.collector) {
      const [itemEpoch, sequence] = key.split('/');
      const isInside = itemEpoch === hex(entry.epoch) && entry.first <= +sequence && +sequence <= entry.last;
      if (isInside && entry.readings > 0) declaredReadings -= item.readings;
    }
  }
  const produced = [...world.produced.values()].reduce((sum, readings) => sum + readings, world.lostBeforeStored);
  expect(storedReadings + declaredReadings).toBe(produced);
  expect(core.status().readingsWaiting).toBe(waiting.reduce((sum, item) => sum + item.readings, 0));
  expect(core.status().itemsWaiting).toBe(waiting.length);

  world.highest.set(hex(epoch), highestSequence);
  let before = 0;
  for (const [of, highest] of world.highest) {
    before = 0;
    for (let sequence = 1; sequence <= highest; sequence++) {
      const item = known.get(`${of}/${sequence}`);
      if (item === undefined) {
        const isDeclared = covered.some((entry) => of === entry[0] && entry[1] <= sequence && sequence <= entry[2]);
        expect(isDeclared, `${sequence} is accounted for`).toBe(true);
      } else {
        expect(item.readingsBefore).toBeGreaterThanOrEqual(before);
        before = item.readingsBefore + item.readings;
      }
    }
  }
  // The current epoch is the last of them.
  expect(readingsProduced).toBeGreaterThanOrEqual(before);
}

describe('the policy in lock-step with a naive account of every reading', () => {
  it('holds in memory, with transactions that fail', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 100, size: 'max' }), (operations) => {
        let left: number | undefined;
        const table = new MemoryItemTable(() => {
          if (left !== undefined && left-- <= 0) throw new Error('the disk failed');
        });
        run(
          table,
          (after) => {
            left = after;
          },
          operations,
        );
      }),
      { numRuns: Number(process.env.TRIBUTARY_PROPERTY_RUNS ?? 60), seed: 20240229 },
    );
  });

  it('holds where durability is deferred, with transactions of the disk that fail', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 100, size: 'max' }), (operations) => {
        let left: number | undefined;
        let nowMs = 0;
        const disk = new MemoryItemTable(() => {
          if (left !== undefined && left-- <= 0) throw new Error('the disk failed');
        });
        const table = new DeferredItemTable(disk, { lossWindowMs: 3, nowMs: () => nowMs });
        const setFault = (after: number | undefined) => {
          left = after;
          if (after !== undefined) return;
          nowMs++;
          if (table.flushAtMs !== undefined && table.flushAtMs <= nowMs) table.flush();
        };
        run(table, setFault, operations);
      }),
      { numRuns: Number(process.env.TRIBUTARY_PROPERTY_RUNS ?? 60), seed: 20240301 },
    );
  });

  it('holds over SQLite', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tributary-buffer-'));
    let file = 0;
    try {
      fc.assert(
        fc.property(fc.array(operation, { minLength: 20, maxLength: 60, size: 'max' }), (operations) => {
          const { db } = openBufferFile(join(directory, `${file++}.db`), 1 << 20);
          db.pragma('synchronous = FULL');
          run(new SqliteItemTable(db), undefined, operations);
          db.close();
        }),
        { numRuns: 10, seed: 20240229 },
      );
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
