import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atExit } from '../rig/at-exit.js';
import type { Fault } from './fault.js';

const program = fileURLToPath(new URL('../simulation/simulate.js', import.meta.url));

interface LastLine {
  seeds: number;
  failures: number;
  readings: number;
  stored: number;
  declared: number;
  destroyed: number;
  duplicates: number;
  outages: number;
  simulatedHours: number;
}

/**
 * Each repetition is a seed. The simulation compares each stored value, and fails where one is doubled or altered. A reading
 * that was only on a disk that a fault overwrote with an older image was not lost by anybody here, and is not counted; nor is
 * one whose only declaration was damaged.
 */
export const simulation: Fault = {
  number: 46,
  title: 'whole-system simulation',
  times: 1000,
  shortTimes: 4,
  run: async ({ times, seed, isShort }) => {
    const minutes = isShort ? ['--minutes', '10'] : [];
    const parameters = ['--seeds', String(times), '--from', String(seed), '--json', ...minutes];
    const { out, err } = await ran(parameters);
    const last = JSON.parse(out.trim().split('\n').at(-1) ?? '') as LastLine;
    const { readings, stored, declared, destroyed, failures } = last;
    const problems = failures === 0 ? [] : [`${failures} seeds failed: ${err.split('\n')[0]}`];
    const figures =
      `${last.seeds} seeds, ${last.simulatedHours} simulated hours, ${last.outages} outages, ` +
      `${last.duplicates} repetitions dropped; ${destroyed} readings more went with the only disk that had them or their declaration`;
    const produced = readings - destroyed;
    const missing = produced - stored - declared;
    const counts = { produced, stored, declared, missing, duplicates: 0, altered: 0 };
    return { ...counts, problems, figures };
  },
};

function ran(parameters: readonly string[]): Promise<{ out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
    const forget = atExit(() => child.kill('SIGKILL'));
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', () => {
      forget();
      resolve({ out, err });
    });
  });
}
