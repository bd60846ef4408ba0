import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { platform } from 'node:os';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { until } from '../rig/until.js';

const program = fileURLToPath(new URL('./faults.js', import.meta.url));

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Where the configuration lies with which a process was started. */
function folderOf(pid: number): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return dirname(words[words.indexOf('--config') + 1]!);
}

const isRunning = (pid: number) => existsSync(`/proc/${pid}`);

it.skipIf(platform() !== 'linux')('leaves no process and no folder behind when it is told to end', async () => {
  const command = spawn(process.execPath, [program, '1', '--times', '100000'], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const [line] = (await once(createInterface({ input: command.stderr }), 'line')) as [string];
    expect(line).toMatch(/1 kills/);
    const children = childrenOf(command.pid!);
    expect(children.length).toBeGreaterThan(0);
    const folder = folderOf(children[0]!);
    expect(existsSync(folder)).toBe(true);
    const ended = once(command, 'exit');
    command.kill('SIGTERM');
    expect(await ended).toEqual([128 + 15, null]);
    await until('what it had started has ended', () => !children.some(isRunning));
    expect(existsSync(folder)).toBe(false);
  } finally {
    command.kill('SIGKILL');
  }
});
