import { spawn } from 'node:child_process';
import type { Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { BoundedOutput } from './bounded-output.js';

/** What is kept of a command's output, for the log: a screenful. */
const outputBytesMax = 2_048;

/** Between SIGTERM and SIGKILL: what a script needs to put things back. */
const graceMs = 2_000;

/** What a program that has ended has still in the pipe arrives at once; a child that holds the pipe open may do so for ever. */
const lastOutputMs = 100;

export interface CommandOptions {
  /** Absolute path of the program, and its arguments; no shell sees them. */
  command: readonly [string, ...string[]];
  timeoutMs: number;
  workingDirectory: string;
  environment: Readonly<Record<string, string>>;
}

/** How a command ended: in a word for counters, with an exit code or signal where it has one. */
export interface CommandEnd {
  /** Empty when it has succeeded; else `exit-N`, the signal, `timeout`, `stopped` or `not-started`. */
  reason: string;
  durationMs: number;
  /** The end of what it wrote to standard output and standard error. */
  output: string;
  outputBytes: number;
  /** Why it could not be started. */
  details?: string;
}

/** A command that runs. */
export interface RunningCommand {
  /** Never rejects. */
  readonly ended: Promise<CommandEnd>;
  /** Ends it before its time, as a timeout does. */
  stop(): void;
}

/**
 * Runs a program in a process group of its own, so that what it starts ends with it: at the time limit the whole group gets
 * SIGTERM, then SIGKILL; and whatever is left of the group when the program itself has ended is killed at once. A device that
 * runs for years must not gather processes.
 */
export function runCommand(options: CommandOptions, scheduler: Scheduler): RunningCommand {
  const { command, timeoutMs, workingDirectory, environment } = options;
  const [program, ...args] = command;
  const startedMs = scheduler.nowMs();
  const output = new BoundedOutput(outputBytesMax);
  const end = (reason: string, details?: string): CommandEnd => ({
    reason,
    durationMs: Math.round(scheduler.nowMs() - startedMs),
    output: output.text,
    outputBytes: output.bytes,
    ...(details === undefined ? {} : { details }),
  });
  let child: ReturnType<typeof spawn>;
  try {
    const stdio = ['ignore', 'pipe', 'pipe'] satisfies ('ignore' | 'pipe')[];
    child = spawn(program, args, { cwd: workingDirectory, env: environment, stdio, detached: true });
  } catch (thrown) {
    // An argument that cannot be passed: too long, or with a NUL.
    return { ended: Promise.resolve(end('not-started', TributaryError.from(thrown).message)), stop: () => {} };
  }

  let ending: string | undefined;
  let cancelKill = () => {};
  const terminate = (why: string) => {
    if (ending !== undefined || child.pid === undefined) return;
    ending = why;
    signalGroup(child.pid, 'SIGTERM');
    cancelKill = scheduler.setTimer(graceMs, () => signalGroup(child.pid, 'SIGKILL'));
  };
  const cancelTimeout = scheduler.setTimer(timeoutMs, () => terminate('timeout'));
  const take = (chunk: Buffer) => output.add(chunk);
  child.stdout?.on('data', take).on('error', () => {});
  child.stderr?.on('data', take).on('error', () => {});

  const ended = new Promise<CommandEnd>((resolve) => {
    child.once('error', (error) => {
      if (child.pid !== undefined) return;
      cancelTimeout();
      resolve(end('not-started', TributaryError.from(error).message));
    });
    child.once('exit', (code, signal) => {
      cancelTimeout();
      cancelKill();
      // At once: as long as the group has members its number is nobody else's.
      signalGroup(child.pid, 'SIGKILL');
      const reason = ending ?? signal ?? (code === 0 ? '' : `exit-${code}`);
      const told = () => {
        cancelWait();
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve(end(reason));
      };
      const cancelWait = scheduler.setTimer(lastOutputMs, told);
      child.once('close', told);
    });
  });
  return { ended, stop: () => terminate('stopped') };
}

function signalGroup(leader: number | undefined, signal: NodeJS.Signals): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, signal);
  } catch {
    // Nobody is left.
  }
}
