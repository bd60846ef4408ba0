import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Fault } from './fault.js';

const program = fileURLToPath(new URL('../simulation/simulate.js', import.meta.url));

interface LastLine {
  seeds: number;
  failures: number;
  readings: number;
  stored: number;
  duplicates: number;
  outages: number;
  simulatedHours: number;
}

/**
 * Each repetition is a seed. The simulation checks after each step that every reading that is not stored is declared, and that
 * none is doubled or altered, and fails otherwise: so what its stores do not have at the ends is what was declared.
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
    const { readings, stored, failures } = last;
    const problems = failures === 0 ? [] : [`${failures} seeds failed: ${err.split('\n')[0]}`];
    const figures = `${last.seeds} seeds, ${last.simulatedHours} simulated hours, ${last.outages} outages, ${last.duplicates} repetitions dropped`;
    const counts = {
      produced: readings,
      stored,
      declared: Math.max(0, readings - stored),
      missing: 0,
      duplicates: Math.max(0, stored - readings),
      altered: 0,
    };
    return { ...counts, problems, figures };
  },
};

function ran(parameters: readonly string[]): Promise<{ out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', () => resolve({ out, err }));
  });
}
