import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BufferEngine } from '@tributary/agent/buffer/buffer-engine';
import { decodeDeclaration } from '@tributary/agent/buffer/loss-entries';
import type { Random } from '@tributary/core/clock/random';
import { ItemKind, type LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { addCounts, type FaultCounts, NOTHING } from './fault.js';

const QUOTA_BYTES = 8 << 20;
const FILES = ['', '-wal', '-mark'] as const;

/** A batch that was committed: what its bytes were, under which number. */
interface Committed {
  readings: number;
  body: Uint8Array;
}

/** What was put into a buffer, by an account of its own, and the files as they lay at one moment. */
export interface BufferImage {
  /** The database; its log and mark beside it. */
  path: string;
  epoch: string;
  committed: Map<number, Committed>;
  /** Up to this sequence the collector has everything. */
  acknowledged: number;
  highestSequence: number;
  series: string;
}

export interface BufferPlan {
  appends: number;
  /** Bytes of a body are up to this. */
  bodyBytesMax: number;
  /** Closed in order, or copied while it was in use. */
  isClosed: boolean;
}

/** Fills a buffer with batches whose bytes are random, lets the collector have a part, and keeps a copy of its files. */
export function makeBuffer(folder: string, plan: BufferPlan, random: Random): BufferImage {
  mkdirSync(folder, { recursive: true });
  const live = join(folder, 'live.db');
  const path = join(folder, 'buffer.db');
  const engine = openEngine(live, random);
  for (let id = 1; id <= 20; id++) {
    engine.run((core) =>
      core.addSeries([{ name: `series-${id}`, unit: 'Cel', labels: { line: `${id % 3}` }, type: 1 }]),
    );
  }
  for (let boot = 1; boot <= 3; boot++) {
    const clock = { offsetUs: boot * 1e15, observedAtUs: boot, uncertaintyUs: 1, state: 1 };
    engine.run((core) => core.addSegment({ bootId: `boot-${boot}`, ...clock }));
  }
  const committed = new Map<number, Committed>();
  for (let at = 0; at < plan.appends; at++) {
    const batches = Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomBatch(plan.bodyBytesMax, random));
    const { sequences } = engine.append(batches);
    for (const [n, sequence] of sequences.entries()) committed.set(sequence, batches[n]!);
  }
  const { highestSequence, epoch } = engine.run((core) => core.state);
  const acknowledged = Math.floor(highestSequence * 0.2);
  engine.run((core) => core.acknowledge([{ first: 1, last: acknowledged }]));
  engine.run((core) => core.deleteAcknowledged());
  const series = JSON.stringify(engine.run((core) => core.identity('clean').series));
  if (plan.isClosed) engine.close();
  for (const part of FILES) if (existsSync(`${live}${part}`)) copyFileSync(`${live}${part}`, `${path}${part}`);
  if (!plan.isClosed) engine.close();
  return { path, epoch: hex(epoch), committed, acknowledged, highestSequence, series };
}

export interface DamageOutcome extends FaultCounts {
  problems: string[];
  /** From the call to an open buffer. */
  openMs: number;
  isSuspect: boolean;
  opened: string;
}

/**
 * Copies the files, lets `damage` have the copy, opens it as an agent does, appends, and reads everything as a collector
 * would get it; then once more after an orderly end. Compares with what was committed.
 */
export function tryDamage(
  image: BufferImage,
  folder: string,
  random: Random,
  damage: (path: string) => void,
): DamageOutcome {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'buffer.db');
  for (const part of FILES)
    if (existsSync(`${image.path}${part}`)) copyFileSync(`${image.path}${part}`, `${path}${part}`);
  damage(path);
  const outcome: DamageOutcome = { ...NOTHING, problems: [], openMs: 0, isSuspect: false, opened: '' };
  const seen = new Map<string, Item>();
  const started = performance.now();
  let engine: BufferEngine | undefined;
  try {
    engine = openEngine(path, random);
    outcome.openMs = performance.now() - started;
    const { isSuspect, opened, series, epoch } = engine.identity;
    Object.assign(outcome, { isSuspect, opened });
    if (hex(epoch) === image.epoch) outcome.altered += alteredSeries(image, JSON.stringify(series));
    const fresh = new Map<string, Committed>();
    for (let life = 0; life < 2; life++) {
      appendSome(engine, fresh, random);
      readAll(engine, seen);
      engine.close();
      engine = openEngine(path, random);
      if (engine.identity.opened !== 'clean')
        outcome.problems.push(`opened ${engine.identity.opened} after an orderly end`);
    }
    readAll(engine, seen);
    return compare(image, seen, fresh, outcome);
  } catch (error) {
    outcome.problems.push(`did not start: ${(error as Error).stack}`);
    return outcome;
  } finally {
    engine?.close();
  }
}

/** A call that finds damage rejects, and the next one works on what was salvaged. */
function appendSome(engine: BufferEngine, fresh: Map<string, Committed>, random: Random): void {
  const batches = [randomBatch(200, random), randomBatch(2_000, random)];
  const { sequences } = again(() => engine.append(batches));
  const epoch = hex(again(() => engine.run((core) => core.state.epoch)));
  for (const [at, sequence] of sequences.entries()) fresh.set(`${epoch}/${sequence}`, batches[at]!);
}

function readAll(engine: BufferEngine, seen: Map<string, Item>): void {
  again(() => {
    const epoch = hex(engine.run((core) => core.state.epoch));
    for (let from = 1; ; ) {
      const items = engine.run((core) => core.read(from, 1 << 20, 256));
      if (items.length === 0) return;
      for (const item of items) seen.set(`${epoch}/${item.sequence}`, { ...item, body: Uint8Array.from(item.body) });
      from = items.at(-1)!.sequence + 1;
    }
  });
}

function again<T>(act: () => T): T {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      return act();
    } catch (error) {
      if ((error as { code?: string }).code !== 'corrupt') throw error;
    }
  }
  return act();
}

function compare(
  image: BufferImage,
  seen: ReadonlyMap<string, Item>,
  fresh: ReadonlyMap<string, Committed>,
  outcome: DamageOutcome,
): DamageOutcome {
  const entries: LedgerEntry[] = [];
  for (const [key, item] of seen) {
    const epoch = key.slice(0, key.indexOf('/'));
    const bytes = Uint8Array.from(Buffer.from(epoch, 'hex'));
    const checksum = itemChecksum(bytes, item.sequence, item.kind, item.readings, item.readingsBefore, item.body);
    if (checksum !== item.checksum) outcome.altered += item.readings + 1;
    if (item.kind === ItemKind.DECLARATION) entries.push(...decodeDeclaration(item.body));
    const known = epoch === image.epoch ? image.committed.get(item.sequence) : undefined;
    const added = fresh.get(key);
    if (known !== undefined && added !== undefined) outcome.problems.push(`${item.sequence} was used again`);
    const original = known ?? added;
    if (item.kind === ItemKind.BATCH && original === undefined) outcome.altered += item.readings;
    else if (original !== undefined && !isSame(item, original)) outcome.altered += original.readings;
  }
  for (const sequence of [...fresh.keys()].filter((key) => !seen.has(key)))
    outcome.problems.push(`${sequence} is gone`);
  let lost = 0;
  for (const [sequence, { readings }] of image.committed) {
    outcome.produced += readings;
    if (sequence <= image.acknowledged || seen.has(`${image.epoch}/${sequence}`)) outcome.stored += readings;
    else if (entries.some((entry) => covers(entry, image.epoch, sequence))) lost += readings;
    else outcome.missing += readings;
  }
  outcome.declared = lost;
  // What the entries say together, less what the collector has of their ranges, is not less than what is lost.
  const claimed = entries
    .filter((entry) => hex(entry.epoch) === image.epoch)
    .reduce((sum, { readings }) => sum + readings, 0);
  if (claimed < lost) outcome.problems.push(`${claimed} readings are declared and ${lost} lost`);
  return outcome;
}

function covers(entry: LedgerEntry, epoch: string, sequence: number): boolean {
  return entry.first <= sequence && sequence <= entry.last && hex(entry.epoch) === epoch;
}

function isSame(item: Item, { readings, body }: Committed): boolean {
  return item.readings === readings && item.kind === ItemKind.BATCH && Buffer.compare(item.body, body) === 0;
}

/** A series that is known by its id has the name, unit and labels that it was given, or says that they are lost. */
function alteredSeries(image: BufferImage, found: string): number {
  if (found === image.series) return 0;
  const before = JSON.parse(image.series) as { id: number; name: string }[];
  const after = new Map((JSON.parse(found) as { id: number; name: string }[]).map((series) => [series.id, series]));
  return before.filter(({ id, ...series }) => {
    const now = after.get(id);
    if (now === undefined) return true;
    return JSON.stringify(now) !== JSON.stringify({ id, ...series }) && now.name !== `lost-series-${id}`;
  }).length;
}

export function openEngine(path: string, random: Random): BufferEngine {
  const newEpoch = () => Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256));
  return new BufferEngine({ path, quotaBytes: QUOTA_BYTES, newEpoch });
}

function randomBatch(bytesMax: number, random: Random): Committed {
  const body = Uint8Array.from({ length: 1 + Math.floor(random() * bytesMax) }, () => Math.floor(random() * 256));
  return { readings: 1 + Math.floor(random() * 1_000), body };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Sums what repeated trials found, with the first few things that were wrong. */
export class DamageTally {
  readonly problems: string[] = [];
  readonly opened = new Map<string, number>();
  counts: FaultCounts = NOTHING;
  #worstMs = 0;

  add(what: string, outcome: DamageOutcome): void {
    this.counts = addCounts(this.counts, outcome);
    this.#worstMs = Math.max(this.#worstMs, outcome.openMs);
    this.opened.set(outcome.opened, (this.opened.get(outcome.opened) ?? 0) + 1);
    const { missing, altered } = outcome;
    if (missing + altered > 0) this.#problem(`${what}: ${missing} missing, ${altered} altered, ${outcome.opened}`);
    for (const problem of outcome.problems) this.#problem(`${what}: ${problem}`);
  }

  get worstMs(): number {
    return this.#worstMs;
  }

  get figures(): string {
    const ways = [...this.opened].map(([how, count]) => `${count} ${how}`).join(', ');
    return `opened ${ways}; slowest ${Math.round(this.#worstMs)} ms`;
  }

  #problem(text: string): void {
    if (this.problems.length < 8) this.problems.push(text);
  }
}
