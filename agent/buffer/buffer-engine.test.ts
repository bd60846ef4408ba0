import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import Database from 'better-sqlite3';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { BufferEngine, type BufferEngineOptions } from './buffer-engine.js';
import { decodeDeclaration } from './loss-entries.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-engine-'));
const engines: BufferEngine[] = [];
/** Of the bytes of the tables' text, each so many-th is damaged. */
const PLACES_STEP = 13;

let files = 0;
let epochs = 0;

const newPath = (): string => join(directory, `${files++}`, 'buffer.db');
const batch = (readings: number, bytes = 20) => ({ readings, body: new Uint8Array(bytes).fill(readings) });
const sequences = (engine: BufferEngine): number[] =>
  engine.run((core) => core.read(1, 1 << 30, 1 << 20)).map((item) => item.sequence);

function open(path: string, more: Partial<BufferEngineOptions> = {}): BufferEngine {
  const engine = new BufferEngine({
    path,
    quotaBytes: 1 << 20,
    newEpoch: () => new Uint8Array(16).fill(++epochs),
    ...more,
  });
  engines.push(engine);
  return engine;
}

function close(engine: BufferEngine): void {
  engines.splice(engines.indexOf(engine), 1);
  engine.close();
}

afterEach(() => {
  for (const engine of engines.splice(0)) engine.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('opening a buffer', () => {
  it('starts whatever bit of its tables has flipped, with every row', () => {
    const path = newPath();
    const engine = open(path);
    engine.append([batch(1), batch(2)]);
    close(engine);
    const whole = readFileSync(path);
    // The text of the tables lies in the first page and in those behind it.
    const from = whole.indexOf('CREATE TABLE');
    const places: number[] = [];
    for (let at = from; at !== -1; at = whole.indexOf('CREATE TABLE', at + 1)) {
      const end = whole.indexOf(0, at);
      for (let place = at; place < Math.min(end, at + 600); place += PLACES_STEP) places.push(place);
    }
    expect(places.length).toBeGreaterThan(100);
    for (const place of places) {
      const damaged = Buffer.from(whole);
      damaged[place]! ^= 1 << (place % 7);
      writeFileSync(path, damaged);
      for (const suffix of ['-wal', '-mark', '.damaged-1', '.damaged-2']) rmSync(`${path}${suffix}`, { force: true });
      const again = open(path);
      expect(sequences(again).slice(0, 2), `a flip at ${place}`).toEqual([1, 2]);
      again.append([batch(3)]);
      close(again);
    }
  });

  it('creates it, and finds it again', () => {
    const path = newPath();
    const first = open(path);
    expect(first.identity.opened).toBe('created');
    first.append([batch(1)]);
    const { epoch } = first.identity;
    close(first);
    const second = open(path);
    expect(second.identity).toMatchObject({ opened: 'clean', epoch, highestSequence: 1, readingsProduced: 1 });
  });

  it('refuses a second agent and leaves the first alone', () => {
    const path = newPath();
    const first = open(path);
    expect(() => open(path)).toThrow('another agent has this buffer open');
    expect(first.append([batch(1)]).sequences).toEqual([1]);
  });

  it('refuses the file of a newer version and leaves it as it is', () => {
    const path = newPath();
    close(open(path));
    const db = new Database(path);
    db.pragma('user_version = 99');
    db.close();
    const bytes = readFileSync(path);
    expect(() => open(path)).toThrow('written by a newer agent (buffer version 99, this one knows up to 4)');
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('moves a foreign file aside unchanged', () => {
    const path = newPath();
    close(open(path));
    rmSync(path);
    const foreign = new Database(path);
    foreign.exec("CREATE TABLE mine (x); INSERT INTO mine VALUES ('dear')");
    foreign.close();
    const bytes = readFileSync(path);
    expect(open(path).identity.opened).toBe('recovered');
    expect(readFileSync(`${path}.damaged-1`)).toEqual(bytes);
  });

  it('leaves a folder where it is', () => {
    const path = newPath();
    mkdirSync(path, { recursive: true });
    expect(() => open(path)).toThrow("it is a folder; name the buffer's file");
    expect(readdirSync(path)).toEqual([]);
  });

  it('keeps the newest two damaged files', () => {
    const path = newPath();
    close(open(path));
    for (const text of ['first', 'second', 'third']) {
      writeFileSync(path, text.repeat(1_000));
      close(open(path));
    }
    expect(readFileSync(`${path}.damaged-1`, 'utf8')).toContain('third');
    expect(readFileSync(`${path}.damaged-2`, 'utf8')).toContain('second');
    expect(existsSync(`${path}.damaged-3`)).toBe(false);
  });

  it('goes on above everything that may have been used when the counters are damaged', () => {
    const path = newPath();
    const first = open(path);
    first.append([batch(1)]);
    const { epoch } = first.identity;
    close(first);
    const db = new Database(path);
    db.exec('UPDATE state SET readings_produced = 7');
    db.close();
    const second = open(path);
    // The mark knows how far a buffer had come that was closed in order.
    expect(second.identity).toMatchObject({ opened: 'recovered', epoch, isSuspect: true, highestSequence: 1 });
    expect(sequences(second)).toEqual([1]);
    expect(second.run((core) => core.inDoubt)).toEqual([{ first: 1, last: 1 }]);
  });

  it('carries over every row of a file whose inner pages are damaged, and declares what is not there', () => {
    const path = newPath();
    const first = open(path);
    for (let at = 0; at < 200; at++) first.append([batch(5, 90)]);
    first.run((core) => core.acknowledge([{ first: 1, last: 20 }]));
    first.run((core) => core.deleteAcknowledged());
    const { epoch } = first.identity;
    close(first);
    damagePagesOfItems(path);
    const second = open(path);
    expect(second.identity).toMatchObject({
      opened: 'recovered',
      epoch,
      highestSequence: 201,
      readingsProduced: 1_000,
    });
    const items = second.run((core) => core.read(1, 1 << 20, 1_000));
    const [declaration] = items.splice(-1);
    // Rows that were deleted may come to light again: they are what they were, and duplicates at the collector.
    expect(items.slice(-180).map((item) => item.sequence)).toEqual(Array.from({ length: 180 }, (_, at) => at + 21));
    for (const item of items) expect(Uint8Array.from(item.body)).toEqual(batch(5, 90).body);
    const lowest = items[0].sequence;
    const [below] = decodeDeclaration(declaration.body);
    const readings = (lowest - 1) * 5;
    expect(below).toEqual({ epoch, first: 1, last: lowest - 1, readings, bound: true, reason: LossReason.CORRUPT });
  });
});

describe('a file that is damaged while it is open', () => {
  it('is moved aside, and the next call goes on in the same epoch', () => {
    const path = newPath();
    const engine = open(path);
    for (let at = 0; at < 1_500; at++) engine.append([batch(5, 400)]);
    const { epoch } = engine.identity;
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 100 * 512, 1_000 * 512);
    writeFileSync(path, bytes);
    expect(() => sequences(engine)).toThrow(expect.objectContaining({ code: 'corrupt' }));
    expect(existsSync(`${path}.damaged-1`)).toBe(true);
    expect(engine.identity).toMatchObject({ opened: 'recovered', epoch, isSuspect: true, highestSequence: 1_501 });
    expect(engine.append([batch(1)])).toMatchObject({ sequences: [1_502], stored: true });
    const items = engine.run((core) => core.read(1, 1 << 20, 1 << 12));
    const entries = decodeDeclaration(items.find((item) => item.sequence === 1_501)!.body);
    const missing = entries.reduce((sum, entry) => sum + entry.last - entry.first + 1, 0);
    expect(missing).toBe(1_500 - (items.length - 2));
    expect(entries.reduce((sum, entry) => sum + entry.readings, 0)).toBe(missing * 5);
  });
});

/** Overwrites the root page of the rows; the schema and the counters stay. */
function damagePagesOfItems(path: string): void {
  const db = new Database(path);
  const root = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'items'").pluck().get() as number;
  db.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, (root - 1) * 512, root * 512);
  writeFileSync(path, bytes);
}

describe('durability', () => {
  it('commits with synchronous=FULL after a log was set up', () => {
    const engine = open(newPath());
    // The table asserts it after the first commit of each connection.
    expect(engine.append([batch(1)]).stored).toBe(true);
  });
});

const disk = join(directory, 'small-disk');
let mounted = false;
try {
  mkdirSync(disk, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'ignore' });
  mounted = true;
} catch {
  // Mounting needs a privilege that many machines do not give to tests.
}
afterAll(() => {
  if (mounted) execFileSync('umount', [disk]);
});

describe.skipIf(!mounted)('a full disk', () => {
  const ballast = join(disk, 'ballast');

  /** Leaves this many bytes. */
  function fill(leaveBytes: number): void {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(ballast, new Uint8Array(Math.max(0, bavail * bsize - leaveBytes)));
  }

  it.each([
    ['is seen coming', undefined, 512 * 1024],
    ['comes as a surprise', 0, 8 * 1024],
  ])('that %s makes the buffer evict, or refuse, and recover by itself', (_how, freeDiskBytesMin, leaveBytes) => {
    const path = join(disk, `${files++}.db`);
    const options = freeDiskBytesMin === undefined ? {} : { freeDiskBytesMin };
    const engine = open(path, options);
    for (let at = 0; at < 300; at++) engine.append([batch(1, 400)]);
    fill(leaveBytes);
    let refused = 0;
    let evicted = 0;
    for (let at = 0; at < 600; at++) {
      try {
        evicted += engine.append([batch(1, 400)]).evictedReadings;
      } catch (error) {
        expect(['disk-full', 'disk']).toContain((error as { code: string }).code);
        refused++;
      }
    }
    expect(evicted + refused).toBeGreaterThan(0);
    rmSync(ballast);
    for (let at = 0; at < 10; at++) expect(engine.append([batch(1, 400)]).stored).toBe(true);
    const status = engine.run((core) => core.status());
    expect(status.readingsProduced).toBe(910 - refused);
    expect(status.readingsWaiting + status.readingsEvicted).toBe(status.readingsProduced);
    const present = sequences(engine);
    expect(present.at(-1)).toBe(status.highestSequence);
    close(engine);
    rmSync(path);
  });

  it('from the start refuses with a plain word, and works as soon as there is room', () => {
    fill(0);
    const path = join(disk, `${files++}.db`);
    expect(() => open(path)).toThrow(expect.objectContaining({ name: 'TributaryError' }));
    rmSync(ballast);
    expect(open(path).append([batch(1)]).stored).toBe(true);
  });
});
