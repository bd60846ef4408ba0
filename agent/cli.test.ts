import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestPki } from './uplink/test-pki.js';

const bin = fileURLToPath(new URL('../bin/tributary-agent.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tributary-cli-'));
const file = join(folder, 'agent.yaml');
const good = `collector: {address: "127.0.0.1:1"}
tls: {ca: ca.pem, cert: device.pem, key: device.key}
buffer: {path: buffer.db}
health: {metrics: off}
sources:
  - {type: simulator, name: sim, interval: 50ms, series: [{name: t, model: temperature}]}
`;

beforeAll(async () => {
  const pki = await TestPki.create();
  await pki.writeDevice(folder, 'pump-3');
  writeFileSync(file, good);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  code: number | null;
  out: string;
  error: string;
}

function run(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [bin, ...args], (_, out, error) => {
      resolve({ code: child.exitCode, out, error });
    });
  });
}

/** Resolves with what the process has written to standard error, once that has `text` in it. */
function written(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let error = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      error += chunk;
      if (error.includes(text)) resolve(error);
    });
    child.once('exit', () => reject(new Error(`it ended: ${error}`)));
  });
}

function broken(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('tributary-agent', () => {
  it('says its version', async () => {
    expect(await run('--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it('validates a configuration and what it names', async () => {
    expect(await run('validate', '--config', file)).toMatchObject({ code: 0, out: `${file}: ok\n` });
    expect(await run('validate', file)).toMatchObject({ code: 0 });
  });

  it('validates the programs that alerts run', async () => {
    const text = `${good}alerts:\n  - {name: siren, run: {command: [/none/siren]}}\n`;
    const { code, error } = await run('validate', broken('siren.yaml', text));
    expect(code).toBe(2);
    expect(error).toContain('alerts[0].run.command[0]: /none/siren: no such file or directory; install it');
  });

  it.each([
    ['an unknown key', `${good}bufer: {}\n`, ':7:1: bufer: unknown key'],
    ['a wrong value', good.replace('50ms', 'fast'), ':6:44: sources[0].interval: not a duration'],
    ['no certificate', good.replace('device.pem', 'gone.pem'), 'gone.pem: no such file'],
  ])('refuses %s with status 2, the place, and no stack', async (_, text, expected) => {
    const path = broken('bad.yaml', text);
    for (const command of ['validate', 'run']) {
      const { code, error } = await run(command, '--config', path);
      expect(code).toBe(2);
      expect(error).toContain(expected);
      expect(error).not.toMatch(/\n\s+at /);
    }
  });

  it('refuses what it does not know', async () => {
    expect(await run('fly')).toMatchObject({ code: 2, error: expect.stringContaining("unknown command 'fly'") });
    expect(await run('run')).toMatchObject({ code: 2, error: expect.stringContaining('--config') });
    expect((await run('status')).code).toBe(2);
  });

  it('says that no agent is running', async () => {
    const { code, error } = await run('status', '--config', file);
    expect(code).toBe(1);
    expect(error).toContain('is the agent running?');
  });

  it('runs without a collector until it is told to stop', async () => {
    const child = spawn(process.execPath, [bin, 'run', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    await written(child, 'cannot connect to the collector');
    let status = await run('status', '--config', file, '--json');
    // The socket comes last; until then nobody is there.
    while (status.code !== 0) status = await run('status', '--config', file, '--json');
    expect(JSON.parse(status.out)).toMatchObject({ device: 'spiffe://example.org/device/pump-3' });
    expect((await run('status', '--config', file)).out).toContain('source sim');
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
