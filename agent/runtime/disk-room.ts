import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff } from '@tributary/core/retry/backoff';
import type { Logger } from 'pino';

/** Whoever makes room on the device does so within minutes or days; half a minute more is felt by nobody. */
const retryPolicy = { baseMs: 1000, capMs: 30_000 };

/**
 * Tries again for as long as the disk is full: an agent that is started on a full disk begins its work when there is room,
 * without anybody's hand. Rejects with whatever else is in the way.
 */
export async function whenThereIsRoom<T>(
  attempt: () => Promise<T>,
  { scheduler, random, log }: { scheduler: Scheduler; random: Random; log: Logger },
): Promise<T> {
  const backoff = new Backoff(random, retryPolicy);
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      const { code, message } = TributaryError.from(thrown);
      if (code !== 'disk-full') throw thrown;
      const retryInMs = Math.round(backoff.failed());
      log.error({ retryInMs, details: message }, 'nothing is sampled before there is room on the disk');
      await new Promise<void>((resolve) => scheduler.setTimer(retryInMs, resolve));
    }
  }
}
