import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BufferEngine } from './buffer-engine.js';
import { readMark } from './high-water-mark.js';
import { decodeDeclaration } from './loss-entries.js';
import { checkBeforeOpening } from './open-check.js';
import { MIGRATIONS } from './schema.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-open-check-'));
afterAll(() => rmSync(directory, { recursive: true }));
const used = join(directory, 'used.db');
const closed = join(directory, 'closed.db');
let copies = 0;
let epochs = 0;

function open(path: string): BufferEngine {
  return new BufferEngine({ path, quotaBytes: 1 << 20, newEpoch: () => new Uint8Array(16).fill(++epochs) });
}

function copy(from: string, to = join(directory, `${copies++}.db`)): string {
  for (const part of ['', '-wal', '-mark'])
    if (existsSync(`${from}${part}`)) copyFileSync(`${from}${part}`, `${to}${part}`);
  return to;
}

/** One item of one reading at a time. */
function append(engine: BufferEngine, count: number): void {
  for (let at = 0; at < count; at++) engine.append([{ readings: 1, body: new Uint8Array(50).fill(at) }]);
}

beforeAll(() => {
  const path = join(directory, 'live.db');
  const engine = open(path);
  append(engine, 150);
  copy(path, used);
  engine.close();
  copy(path, closed);
});

describe('the look at a buffer before it is opened', () => {
  it('finds nothing wrong with one that was closed, nor with one that was killed', () => {
    expect(checkBeforeOpening(copy(closed))).toMatchObject({ damage: undefined, isTailSure: true, wasClosed: true });
    expect(checkBeforeOpening(copy(used))).toMatchObject({ damage: undefined, isTailSure: true, wasClosed: false });
    expect(checkBeforeOpening(join(directory, 'none.db'))).toMatchObject({ damage: undefined, wasClosed: true });
  });

  it.each([
    ['a log that was deleted', (path: string) => rmSync(`${path}-wal`), undefined, false],
    ['a log that was emptied', (path: string) => truncateSync(`${path}-wal`), undefined, false],
    ['a log that is shorter', (path: string) => truncateSync(`${path}-wal`, 100_000), 'its log was cut off', false],
    ['a database that is gone', (path: string) => rmSync(path), 'the database is gone', true],
    ['text', (path: string) => writeFileSync(path, 'x'.repeat(2_000)), 'it is no database', true],
  ])('sees %s', (_, damage, expected, isSure) => {
    const path = copy(used);
    damage(path);
    expect(checkBeforeOpening(path)).toMatchObject({ damage: expected, isTailSure: isSure });
  });

  it('sees that the log is of another buffer, by its counters and by its salt', () => {
    const engine = open(join(directory, 'other.db'));
    append(engine, 20);
    for (const isMarkThere of [true, false]) {
      const path = copy(used);
      copyFileSync(join(directory, 'other.db-wal'), `${path}-wal`);
      if (!isMarkThere) rmSync(`${path}-mark`);
      expect(checkBeforeOpening(path)).toMatchObject({
        isLogForeign: true,
        damage: expect.stringContaining('another'),
      });
    }
    engine.close();
  });

  it('never refuses a bit in the number of the version that the mark contradicts', () => {
    const path = copy(closed);
    const bytes = readFileSync(path);
    bytes.writeUInt32BE(MIGRATIONS.length | (1 << 7), 60);
    writeFileSync(path, bytes);
    expect(checkBeforeOpening(path).damage).toBe('the number of its version is damaged');
    rmSync(`${path}-mark`);
    expect(() => open(path)).toThrow('written by a newer agent');
  });
});

describe('a buffer whose end is lost', () => {
  it('goes on above what was reserved, in doubt of all, and declares the rest with a bound', () => {
    const path = copy(used);
    rmSync(`${path}-wal`);
    const engine = open(path);
    const { highestSequence, isSuspect, readingsProduced, opened } = engine.identity;
    expect({ isSuspect, opened }).toEqual({ isSuspect: true, opened: 'unclean' });
    // What the mark has reserved, which is not much more than what was written; the declaration comes next.
    const { reservedSequence, reservedReadings } = readMark(used)!;
    expect({ highestSequence, readingsProduced }).toEqual({
      highestSequence: reservedSequence + 1,
      readingsProduced: reservedReadings,
    });
    expect(reservedSequence).toBeLessThan(150 + 64 + 256);
    const items = engine.run((core) => core.read(1, 1 << 20, 1_000));
    const [lost] = decodeDeclaration(items.at(-1)!.body);
    expect(lost).toMatchObject({ first: items.length, last: reservedSequence, bound: true });
    expect(lost!.readings).toBe(readingsProduced - (items.length - 1));
    expect(engine.run((core) => core.inDoubt)).toEqual([{ first: 1, last: highestSequence }]);
    engine.close();
    const again = open(path);
    expect(again.identity).toMatchObject({ opened: 'clean', isSuspect: true, highestSequence });
    again.openEpoch();
    expect(again.identity.isSuspect).toBe(false);
    again.close();
  });

  it('declares what was in memory along, where nothing but the mark is left', () => {
    const path = join(directory, 'memory.db');
    const engine = new BufferEngine({
      path,
      quotaBytes: 1 << 20,
      newEpoch: () => new Uint8Array(16).fill(++epochs),
      crashBound: 7_000,
    });
    for (let at = 0; at < 100; at++) engine.append([{ readings: 10, body: new Uint8Array(50) }]);
    engine.append([{ readings: 10, body: new Uint8Array(50) }], { crashBound: 9_000 });
    const damaged = copy(path);
    engine.close();
    writeFileSync(damaged, 'x'.repeat(10_000));
    writeFileSync(`${damaged}-wal`, 'x'.repeat(200_000));
    const again = open(damaged);
    const declared = again.run((core) => core.read(1, 1 << 20, 1_000)).flatMap(({ body }) => decodeDeclaration(body));
    const readings = declared.reduce((sum, entry) => sum + entry.readings, 0);
    expect(declared.every(({ bound }) => bound)).toBe(true);
    expect(readings).toBeGreaterThanOrEqual(1_010 + 9_000);
    expect(readings).toBe(again.identity.readingsProduced);
    expect(readings).toBeLessThan(1_010 + 9_000 + 10_000);
    again.close();
  });

  it('is exact where an older file was put in the place of one that was closed', () => {
    const path = join(directory, 'restored.db');
    const first = open(path);
    append(first, 10);
    first.close();
    const older = readFileSync(path);
    const second = open(path);
    append(second, 25);
    second.close();
    writeFileSync(path, older);
    const third = open(path);
    const items = third.run((core) => core.read(1, 1 << 20, 1_000));
    expect(items).toHaveLength(11);
    expect(decodeDeclaration(items.at(-1)!.body)).toMatchObject([{ first: 11, last: 35, readings: 25, bound: false }]);
    expect(third.append([{ readings: 1, body: new Uint8Array(1) }]).sequences).toEqual([37]);
    third.close();
  });

  it('makes the log as long as it will be, and keeps it so', () => {
    const path = join(directory, 'long.db');
    const engine = open(path);
    const { size } = statSync(`${path}-wal`);
    append(engine, 600);
    engine.append([{ readings: 1, body: new Uint8Array(400_000) }]);
    append(engine, 600);
    expect(statSync(`${path}-wal`).size).toBeGreaterThanOrEqual(size);
    engine.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
  });
});
