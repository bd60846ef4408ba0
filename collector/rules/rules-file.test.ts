import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules, type Rule } from '@tributary/core/rules/rule';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { RulesFile } from './rules-file.js';
import { TestDevice } from './test-device.js';
import { findUnmatched } from './unmatched-rules.js';

let folder: string;
let store: SqliteStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-rules-file-'));
  store = await SqliteStore.open({ path: join(folder, 'store.db') });
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('the file of rules', () => {
  it('puts other rules in force, and leaves them as they are where it is not in order', () => {
    const path = join(folder, 'rules.yaml');
    const inForce: (readonly Rule[])[] = [];
    const use = (rules: readonly Rule[]) => inForce.push(rules);
    const file = new RulesFile({ path, store, use, logger: pino({ level: 'silent' }) });
    writeFileSync(path, 'rules: [{name: hot, select: {name: t}, above: 10}]');
    file.reload();
    expect([inForce.length, file.reloads, file.problem]).toEqual([1, 1, undefined]);
    writeFileSync(path, 'rules: [{name: hot, select: {name: t}, abvoe: 10}]');
    file.reload();
    expect([inForce.length, file.reloadsFailed]).toEqual([1, 1]);
    expect(file.problem).toContain(`${path}:1:`);
    expect(file.problem).toContain('abvoe');
    writeFileSync(path, 'rules: []');
    file.reload();
    expect([inForce.length, file.problem]).toEqual([2, undefined]);
  });
});

describe('rules that match nothing', () => {
  const rules = parseRules(
    `rules:
      - {name: hot, select: {name: "temp*"}, above: 10}
      - {name: warm, select: {name: temprature}, above: 10}
      - {name: there, absent: {for: 1m, of: device}, select: {device: kiln}}
      - {name: nowhere, absent: {for: 1m, of: device}, select: {device: klin}}`,
    'rules.yaml',
  ).map(compileRule);

  it('are found, with the names that are like theirs', async () => {
    expect(await findUnmatched(store, rules)).toEqual([]);
    await new TestDevice(store, 'kiln').register();
    expect(await findUnmatched(store, rules)).toEqual([
      { rule: 'warm', asked: ['temprature'], nearest: ['temperature'] },
      { rule: 'nowhere', asked: ['klin'], nearest: ['kiln'] },
    ]);
  });
});
