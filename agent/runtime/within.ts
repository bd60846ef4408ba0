import type { Scheduler } from '@tributary/core/clock/clock';

/** Resolves when `work` does, or after `timeoutMs`. */
export async function within(scheduler: Scheduler, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = scheduler.setTimer(timeoutMs, resolve);
    const done = () => {
      cancel();
      resolve();
    };
    work.then(done, done);
  });
}
