import { execFile } from 'node:child_process';
import { programFile } from '../rig/rig.js';

/** A command that should end by itself and does not is ended after this. */
const RUN_MS = 30_000;

export interface Ended {
  /** Undefined when it had to be ended. */
  code: number | undefined;
  out: string;
  err: string;
}

/** Runs a command line of the product as a user does, and answers how it ended. */
export function runProgram(name: 'agent' | 'collector', parameters: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    // Whoever debugs these tests wants stacks of the tests, not of what a user sees.
    const env = { ...process.env, TRIBUTARY_DEBUG: '' };
    const options = { cwd, env, timeout: RUN_MS, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, [programFile(name), ...parameters], options, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : undefined, out, err });
    });
  });
}
