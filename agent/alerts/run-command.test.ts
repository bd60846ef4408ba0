import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemScheduler } from '@tributary/core/clock/clock';
import { afterAll, describe, expect, it } from 'vitest';
import { type CommandOptions, runCommand } from './run-command.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-command-'));
afterAll(() => rmSync(folder, { recursive: true }));

const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', TRIBUTARY_RULE: 'too-warm' };

let scripts = 0;

/** A program of its own in a file, as a user would write it. */
function script(text: string): string {
  const path = join(folder, `script-${++scripts}`);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

function run(command: CommandOptions['command'], change: Partial<CommandOptions> = {}) {
  const options = { command, timeoutMs: 20_000, workingDirectory: folder, environment, ...change };
  return runCommand(options, systemScheduler);
}

/** The number that a script has written into a file, once it is there as a whole. */
async function pidIn(path: string): Promise<number> {
  while (!existsSync(path) || !readFileSync(path, 'utf8').endsWith('\n')) await pause();
  return Number(readFileSync(path, 'utf8'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // One that nobody has waited for is dead all the same.
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
}

async function untilDead(pid: number): Promise<void> {
  while (isAlive(pid)) await pause();
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 10));

describe('a command', () => {
  it('is given its arguments as they are, the environment and nothing else, in its folder', async () => {
    const path = script('printf "%s|" "$@"; pwd; env | sort | grep -v "^_=\\|^SHLVL\\|^PWD\\|^OLDPWD"; cat');
    const end = await run([path, '$(rm -rf /)', 'a b', '', '; echo x']).ended;
    expect(end).toMatchObject({ reason: '', outputBytes: expect.any(Number) });
    const [first, ...rest] = end.output.split('\n');
    expect(first).toBe(`$(rm -rf /)|a b||; echo x|${folder}`);
    expect(rest).toEqual([`PATH=${environment.PATH}`, 'TRIBUTARY_RULE=too-warm']);
  });

  it('tells its exit code, and the signal that ended it', async () => {
    expect(await run([script('echo no >&2; exit 3')]).ended).toMatchObject({ reason: 'exit-3', output: 'no' });
    expect(await run([script('kill -HUP $$')]).ended).toMatchObject({ reason: 'SIGHUP' });
  });

  it('says why it cannot be started', async () => {
    expect(await run([join(folder, 'none')]).ended).toMatchObject({
      reason: 'not-started',
      details: expect.stringContaining('no such file'),
    });
    const text = join(folder, 'text');
    writeFileSync(text, 'echo');
    expect(await run([text]).ended).toMatchObject({ reason: 'not-started' });
    expect(await run(['/bin/echo', 'a\0b']).ended).toMatchObject({ reason: 'not-started' });
    expect(await run(['/bin/echo'], { workingDirectory: join(folder, 'none') }).ended).toMatchObject({
      reason: 'not-started',
    });
  });

  it('may say what it likes, and only the end of it is kept', async () => {
    const end = await run([script('head -c 300000 /dev/zero | tr "\\0" x; echo; echo the end')]).ended;
    expect(end.reason).toBe('');
    expect(end.outputBytes).toBe(300_000 + 9);
    expect(end.output.length).toBeLessThanOrEqual(2_048);
    expect(end.output.endsWith('x\nthe end')).toBe(true);
  });

  it('is ended at its time limit, with what it has started', async () => {
    const child = join(folder, 'child-1');
    const path = script(`sleep 1000 & echo $! > ${child}; wait`);
    const end = await run([path], { timeoutMs: 300 }).ended;
    expect(end).toMatchObject({ reason: 'timeout' });
    await untilDead(await pidIn(child));
  });

  it('is killed with all of its kind when it does not heed SIGTERM', async () => {
    const child = join(folder, 'child-2');
    const path = script(
      `trap "" TERM; sh -c 'trap "" TERM; echo $$ > ${child}; while :; do sleep 1; done' & while :; do sleep 1; done`,
    );
    const end = await run([path], { timeoutMs: 200 }).ended;
    expect(end.reason).toBe('timeout');
    expect(end.durationMs).toBeGreaterThanOrEqual(2_200);
    await untilDead(await pidIn(child));
  });

  it('leaves nothing behind that holds its output open', async () => {
    const child = join(folder, 'child-3');
    const started = performance.now();
    const end = await run([script(`sleep 1000 & echo $! > ${child}; echo done`)]).ended;
    expect(end).toMatchObject({ reason: '', output: 'done' });
    expect(performance.now() - started).toBeLessThan(10_000);
    await untilDead(await pidIn(child));
  });

  it('ends although what it has started in a session of its own keeps the output', async () => {
    const child = join(folder, 'child-4');
    const path = script(
      `setsid sh -c 'echo $$ > ${child}; exec sleep 1000' & while [ ! -s ${child} ]; do sleep 0.01; done; echo done`,
    );
    const end = await run([path]).ended;
    expect(end).toMatchObject({ reason: '', output: 'done' });
    const pid = await pidIn(child);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  it('can be stopped before its time', async () => {
    const ready = join(folder, 'ready');
    const running = run([script(`echo $$ > ${ready}; sleep 1000`)]);
    await pidIn(ready);
    running.stop();
    running.stop();
    expect(await running.ended).toMatchObject({ reason: 'stopped' });
  });
});
