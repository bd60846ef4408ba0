import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { atExit } from './at-exit.js';

/** How long an orderly stop may take before the process is ended: the agent's own bound and some. */
const STOP_MS = 25_000;
/** Lines that are kept of what a process printed, for the case that it fails. */
const TAIL_LINES = 20;

/** A process of the demo: started with arguments, its JSON log lines read, stopped in order. */
export class Child {
  private readonly tail: string[] = [];
  /** Resolves with the exit code, or null after a signal. */
  readonly exited: Promise<number | null>;
  private stopping = false;

  private constructor(
    readonly name: string,
    private readonly process: ChildProcess,
    onLog: (line: Record<string, unknown>) => void,
    onFailure: (message: string) => void,
  ) {
    for (const stream of [process.stdout!, process.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.tail.push(line);
        if (this.tail.length > TAIL_LINES) this.tail.shift();
        if (!line.startsWith('{')) return;
        try {
          onLog(JSON.parse(line) as Record<string, unknown>);
        } catch {
          // A line that only looks like JSON stays in the tail, where a person finds it.
        }
      });
    }
    const forget = atExit(() => this.#killGroup());
    this.exited = new Promise((resolve) => {
      process.once('exit', (code) => {
        forget();
        resolve(code);
        if (!this.stopping) onFailure(`${name} ended by itself with code ${code}:\n${this.tail.join('\n')}`);
      });
    });
  }

  /** Starts `node ARGS...`. */
  static start(
    name: string,
    args: readonly string[],
    onLog: (line: Record<string, unknown>) => void,
    onFailure: (message: string) => void,
    env: Readonly<Record<string, string>> = {},
  ): Child {
    // A group of its own: Ctrl-C on the terminal reaches whoever started it, and it is stopped in order from there.
    const options = { env: { ...process.env, ...env }, detached: true };
    const process_ = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    return new Child(name, process_, onLog, onFailure);
  }

  get pid(): number {
    return this.process.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** With whatever it has started. */
  #killGroup(): void {
    process.kill(-this.pid, 'SIGKILL');
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    this.stopping = true;
    this.process.kill('SIGKILL');
    await this.exited;
  }

  /** SIGTERM, and SIGKILL when that has not ended it in time. Answers the exit code. */
  async stop(): Promise<number | null> {
    this.stopping = true;
    if (this.process.exitCode === null) this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }
}
