import { spawn } from 'node:child_process';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Logger } from 'pino';

/** `systemd-notify` waits up to 5 s for the manager to take a message; past this something is wrong with it. */
const NOTIFY_MS_MAX = 10_000;

/**
 * Tells systemd how the service is, by the protocol of sd_notify(3).
 *
 * Node has no datagram sockets in the Unix domain, and the add-ons that bring them are compiled at the installation. So
 * each message is a run of `systemd-notify`, which is there wherever somebody listens: a process of a millisecond or two
 * every half minute. It ends only when the manager has taken the message, so none is attributed to a process that is gone.
 * Messages go one after the other, in their order.
 */
export class ServiceManager {
  /** What the manager waits for a sign of life, in milliseconds; undefined where it does not wait for any. */
  readonly watchdogMs: number | undefined;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Logger;
  #last: Promise<void> = Promise.resolve();

  /** Undefined where nobody listens: `NOTIFY_SOCKET` is not set. */
  static fromEnvironment(env: NodeJS.ProcessEnv, log: Logger): ServiceManager | undefined {
    return env.NOTIFY_SOCKET ? new ServiceManager(env, log) : undefined;
  }

  private constructor(env: NodeJS.ProcessEnv, log: Logger) {
    this.#env = env;
    this.#log = log;
    this.watchdogMs = watchdogMsOf(env);
  }

  /** The agent works. Ends a start, and a reload. */
  ready(summary: string): Promise<void> {
    return this.#notify(['READY=1', statusLine(summary)]);
  }

  /** The configuration is read again; `ready` follows. */
  reloading(monotonicUs: number): Promise<void> {
    return this.#notify(['RELOADING=1', `MONOTONIC_USEC=${monotonicUs}`]);
  }

  /** A sign of life. */
  alive(summary: string): Promise<void> {
    return this.#notify(['WATCHDOG=1', statusLine(summary)]);
  }

  stopping(): Promise<void> {
    return this.#notify(['STOPPING=1', statusLine('stops')]);
  }

  /** Never rejects: an agent that cannot tell how it is does its work all the same. */
  #notify(assignments: string[]): Promise<void> {
    this.#last = this.#last.then(() => this.#run(assignments));
    return this.#last;
  }

  #run(assignments: string[]): Promise<void> {
    return new Promise((resolve) => {
      const failed = (why: string) => {
        this.#log.warn({ why, message: assignments[0] }, 'the service manager could not be told');
        resolve();
      };
      const child = spawn('systemd-notify', assignments, {
        env: { PATH: this.#env.PATH, NOTIFY_SOCKET: this.#env.NOTIFY_SOCKET },
        stdio: 'ignore',
        timeout: NOTIFY_MS_MAX,
        killSignal: 'SIGKILL',
      });
      child.once('error', (thrown) => failed(TributaryError.from(thrown).message));
      child.once('exit', (code, signal) => {
        if (code === 0) resolve();
        else failed(`systemd-notify ended with ${signal ?? `code ${code}`}`);
      });
    });
  }
}

/** systemd sets `WATCHDOG_PID` where only that process is meant (sd_watchdog_enabled(3)). */
function watchdogMsOf(env: NodeJS.ProcessEnv): number | undefined {
  const us = Number(env.WATCHDOG_USEC);
  if (!Number.isSafeInteger(us) || us <= 0) return undefined;
  if (env.WATCHDOG_PID !== undefined && Number(env.WATCHDOG_PID) !== process.pid) return undefined;
  return us / 1000;
}

/** A message is lines of assignments: what a summary contains must not begin another. */
function statusLine(summary: string): string {
  return `STATUS=${summary.replaceAll(/[\r\n]+/g, ' ')}`;
}
