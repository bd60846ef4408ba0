import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { afterAll, describe, it } from 'vitest';
import { BufferEngine } from './buffer-engine.js';
import { DECLARATION, decodeDeclaration } from './loss-entries.js';

// Deferred durability, the high-water mark and the look at the files before they are opened, together: an agent that is
// killed again and again, and whose log is lost now and then, on real files.

const directory = mkdtempSync(join(tmpdir(), 'tributary-deferred-recovery-'));
afterAll(() => rmSync(directory, { recursive: true }));

const LOSS_WINDOW_MS = 10_000;
const CRASH_BOUND = 100;
const PARTS = ['', '-wal', '-mark'];

type Damage = 'none' | 'log deleted' | 'log emptied' | 'log cut' | 'database gone';
type Step =
  | { do: 'append'; batches: number; readings: number }
  | { do: 'send' }
  | { do: 'acknowledge'; part: number }
  | { do: 'wait'; ms: number }
  | { do: 'declare' };
interface Life {
  steps: Step[];
  damage: Damage;
  /** Of the log's length, where it is cut. */
  at: number;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      batches: fc.integer({ min: 1, max: 40 }),
      readings: fc.integer({ min: 1, max: 300 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 15_000 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('send' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('acknowledge' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('declare' as const) }) },
);
const life: fc.Arbitrary<Life> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 25 }),
  damage: fc.oneof(
    { weight: 3, arbitrary: fc.constant('none' as const) },
    { weight: 3, arbitrary: fc.constantFrom<Damage>('log deleted', 'log emptied', 'log cut', 'database gone') },
  ),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** A batch that an append has answered for; its body says which it is. */
interface Appended {
  readings: number;
  body: string;
  atMs: number;
  isAcknowledged: boolean;
}

class World {
  static #runs = 0;
  readonly #folder = join(directory, String(World.#runs++));
  #nowMs = 0;
  #bodies = 0;
  #epochs = 0;
  #homes = 0;
  #path: string;
  #engine: BufferEngine;
  /** Of each epoch, by sequence: what was given out under it, for good. */
  readonly #appended = new Map<string, Map<number, Appended>>();
  /** What the collector could have read of declarations. */
  readonly #entries: LedgerEntry[] = [];

  constructor() {
    this.#path = this.#home();
    this.#engine = this.#open();
  }

  run(lives: readonly Life[]): void {
    for (const { steps, damage, at } of lives) {
      for (const each of steps) this.#step(each);
      this.#crash(damage, at);
      this.#check(damage);
    }
    this.#engine.close();
    this.#engine = this.#open();
    this.#expect(this.#engine.identity.opened === 'clean', 'it was not closed in order');
    this.#check(undefined);
    this.#engine.close();
    rmSync(this.#folder, { recursive: true });
  }

  #home(): string {
    const folder = join(this.#folder, String(this.#homes++));
    mkdirSync(folder, { recursive: true });
    return join(folder, 'buffer.db');
  }

  #open(): BufferEngine {
    return new BufferEngine({
      path: this.#path,
      quotaBytes: 8 << 20,
      newEpoch: () => new Uint8Array(16).fill(++this.#epochs),
      crashBound: CRASH_BOUND,
      lossWindowMs: LOSS_WINDOW_MS,
      nowMs: () => this.#nowMs,
    });
  }

  get #epoch(): string {
    return Buffer.from(this.#engine.run((core) => core.state.epoch)).toString('hex');
  }

  #ofEpoch(epoch = this.#epoch): Map<number, Appended> {
    const known = this.#appended.get(epoch) ?? new Map<number, Appended>();
    this.#appended.set(epoch, known);
    return known;
  }

  #step(each: Step): void {
    if (each.do === 'append') {
      const batches = Array.from({ length: each.batches }, () => {
        return { readings: each.readings, body: Buffer.from(`batch ${++this.#bodies}`.padEnd(60, '.')) };
      });
      const { sequences } = this.#engine.append(batches, { crashBound: CRASH_BOUND });
      const known = this.#ofEpoch();
      for (const [at, sequence] of sequences.entries()) {
        this.#expect(!known.has(sequence), `${sequence} is used twice`);
        const { readings, body } = batches[at]!;
        known.set(sequence, { readings, body: body.toString(), atMs: this.#nowMs, isAcknowledged: false });
      }
    } else if (each.do === 'send') this.#readAll();
    else if (each.do === 'acknowledge') {
      const { highestSequence } = this.#engine.run((core) => core.state);
      const last = Math.floor(highestSequence * each.part);
      this.#readAll();
      this.#engine.run((core) => core.acknowledge([{ first: 1, last }]));
      for (const [sequence, batch] of this.#ofEpoch()) if (sequence <= last) batch.isAcknowledged = true;
    } else if (each.do === 'declare') this.#engine.run((core) => core.lose([{ readings: 1, reason: 1 }]));
    else {
      // As the host does: it writes when that is due.
      for (const untilMs = this.#nowMs + each.ms; this.#nowMs < untilMs; ) {
        this.#nowMs = Math.min(untilMs, this.#engine.flushAtMs ?? untilMs);
        if (this.#engine.flushAtMs !== undefined && this.#engine.flushAtMs <= this.#nowMs) this.#engine.flush();
      }
    }
  }

  /** The files as a kill leaves them, at another place; whatever the process did afterwards never was. */
  #crash(damage: Damage, at: number): void {
    const before = this.#path;
    this.#path = this.#home();
    for (const part of PARTS) {
      if (existsSync(`${before}${part}`)) copyFileSync(`${before}${part}`, `${this.#path}${part}`);
    }
    this.#engine.close();
    const log = `${this.#path}-wal`;
    if (damage === 'log deleted') rmSync(log);
    else if (damage === 'log emptied') truncateSync(log);
    else if (damage === 'log cut') truncateSync(log, Math.floor(statSync(log).size * at));
    else if (damage === 'database gone') rmSync(this.#path);
    this.#engine = this.#open();
  }

  #check(damage: Damage | undefined): void {
    const { isSuspect, readingsProduced } = this.#engine.identity;
    const known = this.#ofEpoch();
    const epoch = this.#epoch;
    const present = this.#readAll();
    const entries = this.#entries.filter((entry) => Buffer.from(entry.epoch).toString('hex') === epoch);
    if (damage === 'none' && !this.#wasSuspect) {
      this.#expect(!isSuspect && this.#engine.identity.opened === 'unclean', 'a kill was taken for a lost end');
    }
    let lost = 0;
    let produced = 0;
    for (const [sequence, { readings, body, atMs, isAcknowledged }] of known) {
      produced += readings;
      const found = present.get(sequence);
      this.#expect(found === undefined || found === body, `${sequence} has other bytes than were given out`);
      if (isAcknowledged || found !== undefined) continue;
      lost += readings;
      const isDeclared = entries.some(({ first, last }) => first <= sequence && sequence <= last);
      this.#expect(isDeclared, `${sequence} is neither there nor declared`);
      const isOld = atMs + LOSS_WINDOW_MS <= this.#nowMs;
      const isOfThisLife = atMs >= this.#lifeSinceMs;
      if (damage === 'none' && isOfThisLife)
        this.#expect(!isOld, `${sequence} is older than the loss window, and lost`);
    }
    const claimed = entries.reduce((sum, { readings }) => sum + readings, 0);
    this.#expect(claimed >= lost, `${claimed} readings are declared, and ${lost} are lost`);
    this.#expect(readingsProduced >= produced, `${readingsProduced} are counted, and ${produced} were taken`);
    this.#lifeSinceMs = ++this.#nowMs;
    this.#wasSuspect = isSuspect;
    if (isSuspect && this.#nowMs % 2 === 0) this.#leave(present);
  }

  #wasSuspect = false;
  #lifeSinceMs = 0;

  /** As the uplink does once the collector has settled a suspect epoch: what waits moves under numbers of a new one. */
  #leave(present: ReadonlyMap<number, string>): void {
    const before = this.#ofEpoch();
    this.#engine.openEpoch();
    this.#wasSuspect = false;
    const after = this.#ofEpoch();
    const moved = this.#readAll();
    const waiting = new Set(present.values());
    for (const [sequence, body] of moved) {
      const [, old] = [...before].find(([, batch]) => batch.body === body) ?? [];
      this.#expect(old !== undefined && waiting.has(body), `${body} came from nowhere`);
      after.set(sequence, { ...old! });
    }
    this.#expect(moved.size === present.size, 'something was lost on the way to a new epoch');
  }

  /** Bodies of the batches that wait, by sequence; declarations are noted. */
  #readAll(): Map<number, string> {
    const found = new Map<number, string>();
    for (let from = 1; ; ) {
      const items = this.#engine.run((core) => core.read(from, 1 << 20, 256));
      if (items.length === 0) return found;
      for (const { kind, sequence, body } of items) {
        if (kind === DECLARATION) this.#entries.push(...decodeDeclaration(body));
        else found.set(sequence, Buffer.from(body).toString());
      }
      from = items.at(-1)!.sequence + 1;
    }
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) throw new Error(what);
  }
}

describe('a buffer with deferred durability whose files are hurt', () => {
  it('uses no number for other bytes, sees no lost end in a kill, and has or declares every reading', () => {
    fc.assert(
      fc.property(fc.array(life, { minLength: 1, maxLength: 4 }), (lives) => new World().run(lives)),
      { seed: 20, numRuns: 60 },
    );
  }, 120_000);
});
