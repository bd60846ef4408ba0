import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';
import { BufferEngine } from './buffer-engine.js';
import { TRANSITION } from './transition-ids.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-notes-'));
afterAll(() => rmSync(directory, { recursive: true }));

const open = (path: string, lossWindowMs?: number) =>
  new BufferEngine({
    path,
    quotaBytes: 1 << 20,
    newEpoch: () => new Uint8Array(16).fill(9),
    ...(lossWindowMs === undefined ? {} : { lossWindowMs }),
  });
const notes = (engine: BufferEngine) =>
  engine.run((core) => core.ruleNotes()).map(({ name, text }) => `${name}: ${text}`);

describe.each([
  ['at once', undefined],
  ['deferred', 60_000],
])("notes of a device's own rules, written %s", (how, lossWindowMs) => {
  it('are there after a restart, with the item that was appended with them, and are replaced and forgotten', () => {
    const path = join(directory, `${how}.db`);
    const first = open(path, lossWindowMs);
    const item = { kind: TRANSITION, readings: 0, isProtected: true, body: new Uint8Array(5) };
    const two = [
      { name: 'a', text: '1' },
      { name: 'b', text: '2' },
    ];
    expect(first.append([item], { ruleNotes: two })).toMatchObject({ sequences: [1], stored: true });
    first.append([], { ruleNotes: [{ name: 'a', text: '3' }] });
    first.append([], { ruleNotes: [{ name: 'b', text: undefined }] });
    first.close();
    const second = open(path, lossWindowMs);
    expect(notes(second)).toEqual(['a: 3']);
    expect(second.run((core) => core.read(1, 1000, 10))).toMatchObject([
      { sequence: 1, kind: TRANSITION, readings: 0 },
    ]);
    second.close();
  });
});

describe("notes of a device's own rules", () => {
  it('that a failing disk has changed are as if they were not there', () => {
    const path = join(directory, 'changed.db');
    const engine = open(path);
    engine.append([], { ruleNotes: [{ name: 'a', text: 'above 80' }] });
    engine.append([], { ruleNotes: [{ name: 'b', text: 'above 80' }] });
    engine.close();
    const db = new Database(path);
    db.prepare("UPDATE rule_notes SET text = 'above 16' WHERE name = 'a'").run();
    db.close();
    const again = open(path);
    expect(notes(again)).toEqual(['b: above 80']);
    again.close();
  });

  it('stay when a new epoch is opened', () => {
    const engine = open(join(directory, 'epoch.db'));
    engine.append([], { ruleNotes: [{ name: 'a', text: '1' }] });
    engine.openEpoch();
    expect(notes(engine)).toEqual(['a: 1']);
    engine.close();
  });
});
