import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCa, issueServer } from './identity/pki.js';

const program = fileURLToPath(new URL('../bin/tributary-collector.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tributary-cli-'));

beforeAll(async () => {
  const pki = { dir: join(folder, 'pki'), days: 30, nowMs: Date.now() };
  await createCa({ ...pki, trustDomain: 'example.org' });
  await issueServer({ ...pki, hosts: ['localhost'] });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const good = `
tls: { ca: pki/ca.pem, cert: pki/server.pem, key: pki/server-key.pem }
trustDomain: example.org
store: { sqlite: { path: data.db } }
`;

function run(...parameters: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...parameters], { cwd: folder }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

function configFile(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

describe('the command line', () => {
  it('finds a configuration in order', async () => {
    const file = configFile('good.yaml', good);
    expect(await run('validate', '--config', file)).toEqual({ code: 0, out: 'good.yaml: in order\n', err: '' });
  });

  it.each([
    ['an unknown key', good.replace('store:', 'storage:'), 'bad.yaml:4:1: storage: unknown key'],
    ['a missing certificate', good.replace('server.pem', 'other.pem'), 'other.pem: no such file'],
    ['a trust domain of others', good.replace('example.org', 'example.net'), 'trust domain example.org'],
    ['rules that are missing', `${good}rules: rules.yaml`, 'rules.yaml: no such file'],
    ["a certificate that is no collector's", good.replace('server.pem', 'ca.pem'), 'ca.pem'],
  ])('says in a line what is wrong with %s, and exits with 2', async (_, text, message) => {
    const { code, err } = await run('serve', '--config', configFile('bad.yaml', text));
    expect(err).toContain(message);
    expect(err).not.toMatch(/^\s+at /m);
    expect(code).toBe(2);
  });

  it.each([
    [['serve'], "required option '--config <file>' not specified"],
    [['serve', '--config', 'absent.yaml'], 'absent.yaml: no such file'],
    [['nonsense'], "unknown command 'nonsense'"],
  ])('%j exits with 2', async (parameters, message) => {
    const { code, err } = await run(...parameters);
    expect(err).toContain(`error: `);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});
