import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import type { ErrorCode } from '@tributary/core/errors/error-code';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff } from '@tributary/core/retry/backoff';
import type { Logger } from 'pino';

/** Whoever makes room on the device expects it to be used: ten seconds later at the latest. An attempt is cheap. */
const retryPolicy = { baseMs: 500, capMs: 5_000 };

/** No waiting mends these: another agent's buffer, a newer version's, a bug, the end of this agent. */
const hopeless: readonly ErrorCode[] = ['busy', 'unsupported', 'internal', 'cancelled'];

/** Whether an error of the buffer may go away without anybody restarting the agent. */
export function isPassing(error: TributaryError): boolean {
  return !hopeless.includes(error.code);
}

export interface DiskPatience {
  scheduler: Scheduler;
  random: Random;
  log: Logger;
}

/**
 * Tries again for as long as the disk refuses: an agent that is started on a disk that is full, read-only or not mounted
 * uses it as soon as it can, without anybody's hand. Rejects with whatever no waiting mends, and with `cancelled` once the
 * signal has ended it. `refused` is told of each failure.
 */
export async function whenTheDiskTakes<T>(
  attempt: () => Promise<T>,
  { scheduler, random, log }: DiskPatience,
  signal: AbortSignal,
  refused: (error: TributaryError) => void = () => {},
): Promise<T> {
  const backoff = new Backoff(random, retryPolicy);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      const error = TributaryError.from(thrown);
      if (!isPassing(error)) throw error;
      refused(error);
      const retryInMs = Math.round(backoff.failed());
      log.error({ retryInMs, details: error.message }, 'the buffer cannot be used; readings wait in memory');
      await pause(scheduler, retryInMs, signal);
    }
  }
}

function pause(scheduler: Scheduler, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = scheduler.setTimer(delayMs, done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
