import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeBatch } from '@tributary/proto/batch/encode';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';
import { BufferEngine } from '../buffer-engine.js';

const bin = fileURLToPath(new URL('../../../bin/tributary-agent.mjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'tributary-tool-'));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;

interface Outcome {
  code: number | null;
  out: string;
  error: string;
}

function run(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [bin, 'buffer', ...args], (_, out, error) => {
      resolve({ code: child.exitCode, out, error });
    });
  });
}

function open(path: string): BufferEngine {
  return new BufferEngine({ path, quotaBytes: 1 << 20, newEpoch: () => new Uint8Array(16).fill(7) });
}

/** Three readings of two series in a segment whose clock is known, in each batch. */
function filled(batches = 30): { path: string; engine: BufferEngine } {
  const path = join(directory, `${files++}`, 'buffer.db');
  mkdirSync(join(path, '..'));
  const engine = open(path);
  engine.run((core) =>
    core.addSeries([
      { name: 'boiler, upper', unit: 'Cel', labels: { room: 'a' }, type: 1 },
      { name: 'door', unit: '', labels: {}, type: 2 },
    ]),
  );
  const clock = { offsetUs: 1_700_000_000_000_000, observedAtUs: 0, uncertaintyUs: 1, state: 1 };
  engine.run((core) => core.addSegment({ bootId: 'b', ...clock }));
  for (let at = 0; at < batches; at++) {
    const body = encodeBatch({
      segment: 1,
      unitExponent: 3,
      baseTime: BigInt(at * 1000),
      readings: 3,
      groups: [
        {
          rows: 2,
          times: Float64Array.of(0, 500),
          columns: [
            { seriesId: 1, type: 'double', presence: null, count: 2, values: Float64Array.of(at, 20.25), strings: [] },
            {
              seriesId: 2,
              type: 'boolean',
              presence: Uint8Array.of(2),
              count: 1,
              values: Float64Array.of(1),
              strings: [],
            },
          ],
        },
      ],
    });
    engine.append([{ body: Uint8Array.from(body), readings: 3 }]);
  }
  return { path, engine };
}

function damageRow(path: string, sequence: number): void {
  const db = new Database(path);
  const body = db.prepare('SELECT body FROM items WHERE sequence = ?').pluck().get(sequence) as Buffer;
  body[0]! ^= 1;
  db.prepare('UPDATE items SET body = ? WHERE sequence = ?').run(body, sequence);
  db.close();
}

describe('the tools of the buffer', () => {
  it('look at a buffer that is in use, and leave it and its agent alone', async () => {
    const { path, engine } = filled();
    const before = ['', '-wal'].map((part) => [readFileSync(`${path}${part}`), statSync(`${path}${part}`).mtimeMs]);
    const [status, verify, csv] = await Promise.all([
      run('status', '--path', path, '--json'),
      run('verify', '--path', path, '--json'),
      run('export', '--path', path),
    ]);
    expect(JSON.parse(status.out)).toMatchObject({ items: 30, readings: 90, highestSequence: 30, opened: 'unclean' });
    expect(verify).toMatchObject({ code: 0 });
    expect(JSON.parse(verify.out)).toMatchObject({ items: 30, findings: [] });
    const lines = csv.out.trimEnd().split('\n');
    expect(lines).toHaveLength(91);
    expect(lines.slice(0, 4)).toEqual([
      'sequence,series,unit,labels,time,segment,line_us,value',
      '1,"boiler, upper",Cel,"{""room"":""a""}",2023-11-14T22:13:20.000000Z,1,0,0',
      '1,"boiler, upper",Cel,"{""room"":""a""}",2023-11-14T22:13:20.500000Z,1,500000,20.25',
      '1,door,,{},2023-11-14T22:13:20.500000Z,1,500000,true',
    ]);
    expect(['', '-wal'].map((part) => [readFileSync(`${path}${part}`), statSync(`${path}${part}`).mtimeMs])).toEqual(
      before,
    );
    expect(await run('repair', '--path', path)).toMatchObject({
      code: 1,
      error: expect.stringContaining('another agent'),
    });
    expect(engine.append([{ readings: 1, body: new Uint8Array(3) }]).sequences).toEqual([31]);
    engine.close();
  });

  it('find a damaged row, and repair it once', async () => {
    const { path, engine } = filled();
    engine.close();
    expect(await run('verify', '--path', path)).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing is wrong'),
    });
    damageRow(path, 12);
    const found = await run('verify', '--path', path);
    expect(found).toMatchObject({ code: 1, out: expect.stringContaining('FOUND: item 12 fails its checksum') });
    expect(await run('export', '--path', path)).toMatchObject({
      code: 1,
      error: expect.stringContaining('1 items were left out'),
    });
    const repaired = await run('repair', '--path', path);
    expect(repaired).toMatchObject({ code: 0, out: expect.stringContaining('1 items failed their checksum') });
    expect(await run('repair', '--path', path)).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing to repair'),
    });
    expect((await run('verify', '--path', path)).code).toBe(0);
  });

  it('salvage a destroyed file, and export what was moved aside', async () => {
    const { path, engine } = filled();
    engine.close();
    const bytes = readFileSync(path);
    bytes.fill(0, 0, 50);
    writeFileSync(path, bytes);
    expect(await run('verify', '--path', path)).toMatchObject({
      code: 1,
      out: expect.stringContaining('it is no database'),
    });
    expect(await run('status', '--path', path)).toMatchObject({
      code: 1,
      out: expect.stringContaining('it is no database; 30 items can be carried over'),
    });
    expect(await run('export', '--path', path)).toMatchObject({
      code: 1,
      error: expect.stringContaining('FOUND: it is no database; 30 items can be carried over'),
    });
    const repaired = JSON.parse((await run('repair', '--path', path, '--json')).out) as object;
    expect(repaired).toMatchObject({ opened: 'recovered', salvaged: { items: 30, readings: 90, gaps: 0 } });
    expect(readFileSync(`${path}.damaged-1`)).toEqual(bytes);
    const lines = (await run('export', '--path', `${path}.damaged-1`, '--format', 'jsonl')).out.trimEnd().split('\n');
    expect(lines).toHaveLength(90);
    expect(JSON.parse(lines[89]!)).toMatchObject({
      sequence: 30,
      series: 'door',
      value: true,
      time: expect.any(String),
    });
  });

  it('leave no copy behind when the reader of an export has seen enough', async () => {
    const { path, engine } = filled(2000);
    engine.close();
    const temporary = mkdtempSync(join(directory, 'tmp-'));
    const env = { ...process.env, TMPDIR: temporary };
    const child = spawn(process.execPath, [bin, 'buffer', 'export', '--path', path], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('say what is wrong with what they are given', async () => {
    expect(await run('status')).toMatchObject({
      code: 2,
      error: expect.stringContaining('--config FILE or --path FILE'),
    });
    const missing = await run('verify', '--path', join(directory, 'gone.db'));
    expect(missing).toMatchObject({ code: 2, error: expect.stringContaining('there is no buffer') });
    expect(missing.error).not.toMatch(/\n\s+at /);
    expect((await run('fly')).code).toBe(2);
    const text = join(directory, 'key.pem');
    writeFileSync(text, 'a key');
    const other = join(directory, 'collector.db');
    const db = new Database(other);
    db.exec('CREATE TABLE devices (x)');
    db.close();
    for (const path of [text, other]) {
      const bytes = readFileSync(path);
      const refused = await run('repair', '--path', path);
      expect(refused).toMatchObject({ code: 2, error: expect.stringContaining('nothing says that this is a buffer') });
      for (const command of ['status', 'verify', 'export']) {
        const looked = await run(command, '--path', path);
        expect(looked).toMatchObject({ code: 2, error: expect.stringContaining('nothing says that this is a buffer') });
      }
      expect(readFileSync(path)).toEqual(bytes);
    }
    const folder = join(directory, 'a-folder');
    mkdirSync(folder);
    const refused = await run('repair', '--path', folder);
    expect(refused).toMatchObject({ code: 1, error: expect.stringContaining('it is a folder') });
    expect(statSync(folder).isDirectory()).toBe(true);
  });
});
