import { strict as assert } from 'node:assert';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { LossReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import fc from 'fast-check';
import { BufferCore } from './buffer-core.js';
import { DeferredItemTable } from './deferred-item-table.js';
import type { BufferedItem, BufferState, ItemTable } from './item-table.js';
import { BATCH, DECLARATION } from './loss-entries.js';
import { MemoryItemTable } from './memory-item-table.js';
import { type BatchShape, checkOrder, hex, keyOf, type ModelTotals, ModelWorld } from './model-world.js';
import { rowBytes } from './row-size.js';

/** A table for one sequence of commands. */
export interface ModelTable {
  table: ItemTable;
  /** The next write or commit after so many fails; undefined: none does. */
  failAfter?: (calls: number | undefined) => void;
  /** The next commit reaches the disk and is reported as failed. */
  failBehindCommit?: () => void;
  /** After a failure the table is opened again. */
  reopen?: () => void;
  /** What is durable, where that is another table. */
  disk?: ItemTable;
  close?: () => void;
}

type Command =
  | { do: 'append'; shapes: BatchShape[] }
  | { do: 'connect' | 'disconnect' | 'crash' | 'idle' | 'mark' | 'new epoch' }
  | { do: 'read'; skip: number; count: number }
  | { do: 'send'; count: number; fate: 'answered' | 'arrived' | 'lost' }
  | { do: 'arrive late'; count: number }
  | { do: 'reject' }
  | { do: 'lose'; readings: number };

/** A command, and how its disk fails. */
interface Step {
  command: Command;
  failAfter: number | undefined;
  isToFailBehindCommit: boolean;
}

// Numbers, as the buffer writes them: gRPC is not loaded for a model.
const CRASH_WINDOW: LossReason.CRASH_WINDOW = 5;
const CHECKSUM: RejectionReason.CHECKSUM = 1;
const MALFORMED: RejectionReason.MALFORMED = 3;

/** Room for some dozen rows: it is full most of the time. */
const QUOTA_BYTES = 5_000;
/** Some batches share a window, and most have several. */
const WINDOW_MS = 20_000;
const EVERYTHING = Number.MAX_SAFE_INTEGER;
/** The whole account is as slow as all the commands of a sequence; what is wrong with it stays wrong. */
const COMMANDS_A_CHECK = 10;

const shape: fc.Arbitrary<BatchShape> = fc.record({
  rows: fc.integer({ min: 1, max: 60 }),
  series: fc.integer({ min: 1, max: 2 }),
  segment: fc.constantFrom(1, 1, 1, 1, 2),
  isProtected: fc.constantFrom(false, false, false, true),
});

const just = <Name extends Command['do']>(name: Name) => fc.record({ do: fc.constant(name) });

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      shapes: fc.array(shape, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: just('connect') },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('read' as const), skip: fc.nat(3), count: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      count: fc.integer({ min: 1, max: 4 }),
      fate: fc.constantFrom('answered' as const, 'answered' as const, 'arrived' as const, 'lost' as const),
    }),
  },
  fc.record({ do: fc.constant('arrive late' as const), count: fc.integer({ min: 1, max: 4 }) }),
  just('disconnect'),
  just('crash'),
  just('mark'),
  just('idle'),
  just('reject'),
  just('new epoch'),
  fc.record({ do: fc.constant('lose' as const), readings: fc.integer({ min: 1, max: 9 }) }),
);

const step: fc.Arbitrary<Step> = fc.record({
  command,
  failAfter: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.nat(12)),
  isToFailBehindCommit: fc.oneof({ weight: 19, arbitrary: fc.constant(false) }, fc.constant(true)),
});

/** The buffer's policy, driven in lock-step with arrays that say what must be. */
class Model {
  diskFailures = 0;
  readonly #binding: ModelTable;
  readonly #world = new ModelWorld();
  #epochs = 0;
  #core: BufferCore;
  /** A connection is up, and what was durable has been told. */
  #isConnected = false;
  /** Read, and not sent yet. */
  #held: Item[] = [];
  /** Sent in this session and not answered. */
  #unanswered: number[] = [];
  /** On its way when the last session ended: it may still arrive, until the next one registers. */
  #inFlight: Item[] = [];

  constructor(binding: ModelTable) {
    this.#binding = binding;
    this.#core = this.#open();
  }

  step({ command, failAfter, isToFailBehindCommit }: Step): void {
    const core = this.#core;
    this.#binding.failAfter?.(failAfter);
    if (isToFailBehindCommit) this.#binding.failBehindCommit?.();
    try {
      this.#run(command);
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error;
      this.#binding.failAfter?.(undefined);
      this.diskFailures++;
      this.#reopen(core);
    } finally {
      this.#binding.failAfter?.(undefined);
    }
  }

  get state(): Readonly<BufferState> {
    return this.#core.state;
  }

  check(): ModelTotals {
    const { state } = this.#core;
    const rows = this.#rows();
    const totals = this.#world.check(this.#epoch, state.highestSequence, rows);
    assert.equal(state.itemsStored, rows.length);
    assert.equal(
      state.readingsStored,
      sum(rows, ({ readings }) => readings),
    );
    assert.equal(state.bytesStored, bytesOf(rows));
    return totals;
  }

  get #epoch(): string {
    return hex(this.#core.state.epoch);
  }

  #open(): BufferCore {
    return new BufferCore(this.#binding.table, QUOTA_BYTES, new Uint8Array(16).fill(++this.#epochs), WINDOW_MS);
  }

  #rows(): BufferedItem[] {
    return this.#binding.table.items(1, EVERYTHING, EVERYTHING);
  }

  /** As the engine does after an error: the call counts as not done, whatever the disk has of it. */
  #reopen(failed: BufferCore): void {
    this.#binding.reopen?.();
    this.#core = this.#open();
    if (Buffer.compare(this.#core.state.epoch, failed.state.epoch) === 0) {
      this.#core.withdraw(failed);
      this.#core.resume(failed);
      return;
    }
    // A new epoch that was reported as failed, and is there.
    this.#epochOpened();
  }

  #run(command: Command): void {
    switch (command.do) {
      case 'append':
        this.#append(command.shapes);
        break;
      case 'connect':
        if (!this.#isConnected) this.#connect();
        break;
      case 'read':
        this.#read(command.skip, command.count);
        break;
      case 'send':
        this.#send(command.count, command.fate);
        break;
      case 'arrive late':
        for (const item of this.#inFlight.splice(0, command.count)) this.#arrive(item);
        break;
      case 'mark':
        if (this.#isConnected) this.#core.markInDoubt(rangesOf(this.#unanswered));
        break;
      case 'reject':
        this.#reject();
        break;
      case 'lose': {
        const epoch = this.#epoch;
        this.#core.lose([{ readings: command.readings, reason: CRASH_WINDOW }]);
        this.#world.lost(epoch, command.readings);
        break;
      }
      case 'idle':
        this.#core.deleteAcknowledged();
        break;
      case 'disconnect':
        this.#disconnect();
        break;
      case 'crash':
        this.#crash();
        break;
      case 'new epoch':
        this.#openEpoch();
        break;
    }
  }

  #append(shapes: BatchShape[]): void {
    const epoch = this.#epoch;
    const { highestSequence } = this.#core.state;
    this.#core.deleteAcknowledged();
    const { doubted } = this.#core;
    const before = this.#rows();
    const maybe = new Set([...this.#held, ...this.#inFlight].map(({ sequence }) => sequence).concat(this.#unanswered));
    const { sequences } = this.#core.append(this.#world.makeAll(shapes));
    this.#world.produced(shapes, epoch, sequences);
    assert.deepEqual(
      sequences,
      shapes.map((_, at) => highestSequence + at + 1),
    );
    const after = this.#rows();
    checkOrder(before, after, epoch, doubted, (sequence) => maybe.has(sequence));
    const declarations = after.filter(({ kind }) => kind === DECLARATION);
    const stuck = after.filter((item) => item.kind !== BATCH && item.sequence > highestSequence);
    if (bytesOf(after) > QUOTA_BYTES) {
      assert.ok(bytesOf(after) - bytesOf(declarations) - bytesOf(stuck) <= QUOTA_BYTES, 'no more than the quota');
    }
  }

  /** As after Register: what is durable is told, and what was in doubt is settled. Nothing of before arrives any more. */
  #connect(): void {
    this.#inFlight = [];
    this.#unanswered = [];
    this.#core.acknowledge(this.#world.durable(this.#epoch));
    this.#core.markInDoubt([]);
    this.#isConnected = true;
  }

  #read(skip: number, count: number): void {
    if (!this.#isConnected) return;
    const waiting = this.#rows()[skip];
    if (waiting === undefined) return;
    const known = new Set([...this.#held.map(({ sequence }) => sequence), ...this.#unanswered]);
    const found = this.#core.read(waiting.sequence, EVERYTHING, count);
    const { disk, table } = this.#binding;
    assert.ok((disk ?? table).state()?.isSending || found.length === 0, 'the disk knows that it sends');
    this.#held.push(...found.filter(({ sequence }) => !known.has(sequence)));
  }

  #send(count: number, fate: 'answered' | 'arrived' | 'lost'): void {
    if (!this.#isConnected) return;
    const sent = this.#held.splice(0, count);
    for (const item of sent) {
      if (fate !== 'lost') this.#arrive(item);
      if (fate !== 'answered') {
        this.#unanswered.push(item.sequence);
        this.#inFlight.push(item);
      }
    }
    if (fate === 'answered') this.#core.acknowledge(rangesOf(sent.map(({ sequence }) => sequence)));
  }

  #arrive(item: Item): void {
    this.#world.collector.set(keyOf(this.#epoch, item.sequence), item);
  }

  #reject(): void {
    const item = this.#held[0];
    if (!this.#isConnected || item === undefined) return;
    if (this.#world.collector.has(keyOf(this.#epoch, item.sequence))) return;
    const reason = item.kind === DECLARATION ? CHECKSUM : MALFORMED;
    this.#held.shift();
    this.#core.quarantine(item.sequence, reason, '');
  }

  #disconnect(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#held = [];
    this.#core.stopSending(rangesOf(this.#unanswered));
  }

  #crash(): void {
    // What was read may be on the wire, for all that is known afterwards.
    this.#inFlight.push(...this.#held);
    this.#held = [];
    this.#unanswered = [];
    this.#isConnected = false;
    this.#core = this.#open();
  }

  #openEpoch(): void {
    this.#disconnect();
    this.#connect();
    this.#core.openEpoch(new Uint8Array(16).fill(++this.#epochs));
    this.#epochOpened();
  }

  #epochOpened(): void {
    this.#held = [];
    this.#unanswered = [];
    this.#inFlight = [];
    this.#world.moved(this.#epoch, this.#rows());
  }
}

/** The disk, as it fails in the model. */
class DiskFailure extends Error {
  override readonly name = 'DiskFailure';
}

/** Rows in memory on a disk that fails. */
class FailingTable extends MemoryItemTable {
  readonly #disk: { left: number | undefined };
  #isToFailBehindCommit = false;

  constructor() {
    const disk: { left: number | undefined } = { left: undefined };
    super(() => {
      if (disk.left !== undefined && disk.left-- <= 0) throw new DiskFailure('the disk failed');
    });
    this.#disk = disk;
  }

  failAfter(calls: number | undefined): void {
    this.#disk.left = calls;
    this.#isToFailBehindCommit = false;
  }

  failBehindCommit(): void {
    this.#isToFailBehindCommit = true;
  }

  override commit(): void {
    super.commit();
    if (!this.#isToFailBehindCommit) return;
    this.#isToFailBehindCommit = false;
    throw new DiskFailure('the commit is there, and was reported as failed');
  }
}

/** In memory, on a disk that fails. */
function inMemory(): ModelTable {
  const table = new FailingTable();
  return {
    table,
    failAfter: (calls) => table.failAfter(calls),
    failBehindCommit: () => table.failBehindCommit(),
  };
}

/** The newest rows in memory in front of such a disk; each look at the clock is a millisecond. */
export function deferred(): ModelTable {
  const binding = inMemory();
  let nowMs = 0;
  const table = new DeferredItemTable(binding.table, { lossWindowMs: 20, nowMs: () => nowMs++ });
  return { ...binding, table, disk: binding.table, reopen: () => table.attach(binding.table) };
}

/** What a run of the model came to. */
export interface BufferModelRun {
  sequences: number;
  failures: number;
  /** The shortest history that was found, with what is wrong at its end. */
  why: string | undefined;
  /** What the histories went through, so that a run which tries nothing shows. */
  readingsProduced: number;
  readingsKept: number;
  readingsDeclared: number;
  readingsThinned: number;
  readingsEvicted: number;
  itemsRejected: number;
  diskFailures: number;
}

/**
 * Drives the buffer's policy with so many random sequences of commands, each on a table of its own, and compares every
 * reading with a plain array of what was produced. The same seed does the same.
 */
export function runBufferModel(sequences: number, seed: number, newTable: () => ModelTable = inMemory): BufferModelRun {
  const seen = {
    readingsProduced: 0,
    readingsKept: 0,
    readingsDeclared: 0,
    readingsThinned: 0,
    readingsEvicted: 0,
    itemsRejected: 0,
    diskFailures: 0,
  };
  const history = fc.array(step, { minLength: 5, maxLength: 50, size: 'max' });
  const property = fc.property(history, (steps) => {
    const binding = newTable();
    try {
      const model = new Model(binding);
      for (const [at, each] of steps.entries()) {
        model.step(each);
        if (at % COMMANDS_A_CHECK === 0) model.check();
      }
      const { produced, kept, declared } = model.check();
      const { readingsThinned, readingsEvicted, itemsQuarantined } = model.state;
      seen.readingsProduced += produced;
      seen.readingsKept += kept;
      seen.readingsDeclared += declared;
      seen.readingsThinned += readingsThinned;
      seen.readingsEvicted += readingsEvicted;
      seen.itemsRejected += itemsQuarantined;
      seen.diskFailures += model.diskFailures;
    } finally {
      binding.close?.();
    }
  });
  const run = fc.check(property, { numRuns: sequences, seed });
  if (!run.failed) return { sequences: run.numRuns, failures: 0, why: undefined, ...seen };
  const why = `${JSON.stringify(run.counterexample)}: ${run.errorInstance instanceof Error ? run.errorInstance.stack : run.errorInstance}`;
  return { sequences: run.numRuns, failures: 1, why, ...seen };
}

function rangesOf(sequences: readonly number[]): SequenceRange[] {
  return sequences.map((sequence) => ({ first: sequence, last: sequence }));
}

function bytesOf(items: readonly { body: Uint8Array }[]): number {
  return sum(items, ({ body }) => rowBytes(body.length));
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
