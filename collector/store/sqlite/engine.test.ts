import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readChunk } from '../chunk.js';
import { batch, NOW_US, part, READINGS, registration, SECOND_US } from '../conformance/data.js';
import { packCommit } from '../packed-commit.js';
import { ItemOutcome, type RegisteredDevice } from '../store.js';
import { type ReaderOperations, readerOperations, type WriterOperations, writerOperations } from './engine.js';
import { openReader, openWriter } from './schema.js';

const SEQUENCE_MAX = 40;

type Step =
  | { do: 'commit'; items: { sequence: number; variant: number }[] }
  | { do: 'digest' }
  | { do: 'expire'; before: number }
  | { do: 'compact' }
  | { do: 'reopen' };

const item = fc.record({
  sequence: fc.integer({ min: 1, max: SEQUENCE_MAX }),
  variant: fc.constantFrom(0, 0, 0, 0, 1),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .uniqueArray(item, { maxLength: 12, selector: ({ sequence }) => sequence })
      .map((items): Step => ({ do: 'commit', items: items.sort((a, b) => a.sequence - b.sequence) })),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'digest' }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: SEQUENCE_MAX }).map((before): Step => ({ do: 'expire', before })) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'compact' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'reopen' }) },
);

const itemOf = ({ sequence, variant }: { sequence: number; variant: number }) =>
  batch(sequence, { body: Uint8Array.of(sequence, variant) });

/** The real engine on a real file, without its threads. */
class Engine {
  #writer: Database.Database;
  #reader: Database.Database;
  write: WriterOperations;
  read: ReaderOperations;
  readonly device: RegisteredDevice;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.#writer = openWriter(path);
    this.write = writerOperations(this.#writer);
    const outcome = this.write.register(registration('d'));
    if (outcome.outcome !== 'registered') throw new Error(outcome.detail);
    this.device = outcome.device;
    this.#reader = openReader(path);
    this.read = readerOperations(this.#reader);
  }

  reopen(): void {
    this.close();
    this.#writer = openWriter(this.#path);
    this.write = writerOperations(this.#writer);
    this.#reader = openReader(this.#path);
    this.read = readerOperations(this.#reader);
  }

  close(): void {
    this.#reader.close();
    this.#writer.close();
  }
}

/** What the store must know, the plain way. */
interface Known {
  variant: number;
  position: number;
  expired: boolean;
}

function runStep(
  engine: Engine,
  model: Map<number, Known>,
  counters: { position: number; mark: number; duplicates: number },
  one: Step,
): void {
  const { deviceId } = engine.device;
  if (one.do === 'reopen') engine.reopen();
  if (one.do === 'compact') engine.write.compactStep(undefined);
  if (one.do === 'digest') {
    counters.mark = counters.position;
    const marks = [{ deviceId, position: counters.mark }];
    engine.write.saveDerived({ marks, ruleStates: [], rollups: new Float64Array(0) });
  }
  if (one.do === 'expire') {
    const beforeUs = batch(one.before).lastUs;
    let expected = 0;
    for (const [sequence, known] of model) {
      if (known.expired || known.position > counters.mark || batch(sequence).lastUs >= beforeUs) continue;
      known.expired = true;
      expected += READINGS;
    }
    let readings = 0;
    let next: Parameters<WriterOperations['expireStep']>[1];
    do {
      const done = engine.write.expireStep(beforeUs, next);
      readings += done.readings;
      next = done.next;
    } while (next !== undefined);
    expect(readings).toBe(expected);
  }
  if (one.do === 'commit') {
    const { outcomes, positions } = engine.write.commit(
      packCommit([part(engine.device, one.items.map(itemOf))], NOW_US),
    );
    const expected = one.items.map(({ sequence, variant }) => {
      const known = model.get(sequence);
      if (known === undefined) return ItemOutcome.Stored;
      return known.expired || known.variant === variant ? ItemOutcome.Duplicate : ItemOutcome.Fork;
    });
    expect([...outcomes]).toEqual(expected);
    if (expected.includes(ItemOutcome.Stored)) counters.position++;
    counters.duplicates += expected.filter((outcome) => outcome === ItemOutcome.Duplicate).length;
    expect([...positions]).toEqual([counters.position]);
    for (const [at, { sequence, variant }] of one.items.entries()) {
      if (expected[at] === ItemOutcome.Stored)
        model.set(sequence, { variant, position: counters.position, expired: false });
    }
  }
}

function check(engine: Engine, model: Map<number, Known>, duplicates: number): void {
  const { deviceId, epochs } = engine.device;
  const stored = [...model].filter(([, known]) => !known.expired).sort((a, b) => a[0] - b[0]);
  const highest = Math.max(0, ...model.keys());
  const audit = engine.read.auditEpoch(deviceId, epochs[0].epochId);
  const expired = (model.size - stored.length) * READINGS;
  expect(audit).toMatchObject({
    highestSequence: highest,
    produced: highest * READINGS,
    stored: stored.length * READINGS,
    missing: (highest - model.size) * READINGS,
    doubled: 0,
    duplicatesDropped: duplicates,
    declared: expired === 0 ? [] : [{ reason: LossReason.EXPIRED, readings: expired, bound: false }],
  });
  const bodies = (page: ReturnType<ReaderOperations['readAfter']>) => {
    const found: number[][] = [];
    for (let at = 0; at < page.picks.length; at += 2) {
      const items = readChunk(page.chunks[page.picks[at]].body);
      found.push([...(items?.[page.picks[at + 1]].body ?? [])]);
    }
    return found;
  };
  const expected = stored.map(([sequence, { variant }]) => [sequence, variant]);
  const range = { deviceId, fromUs: NOW_US, untilUs: NOW_US + 1000 * SECOND_US };
  expect(bodies(engine.read.readRange(range, '', 1e6))).toEqual(expected);
  expect(bodies(engine.read.readAfter(deviceId, 0, 1e6)).sort((a, b) => a[0] - b[0])).toEqual(expected);
}

describe('the SQLite engine', () => {
  it('does what a plain map would, whatever is committed, expired, compacted and reopened', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const folder = mkdtempSync(join(tmpdir(), 'tributary-model-'));
        const engine = new Engine(join(folder, 'tributary.db'));
        try {
          const model = new Map<number, Known>();
          const counters = { position: 0, mark: 0, duplicates: 0 };
          for (const one of steps) runStep(engine, model, counters, one);
          check(engine, model, counters.duplicates);
        } finally {
          engine.close();
          rmSync(folder, { recursive: true });
        }
      }),
      { seed: 31, numRuns: Number(process.env.TRIBUTARY_MODEL_RUNS ?? 40) },
    );
  });
});
