import type { Scheduler } from '@tributary/core/clock/clock';

/** Does something again and again until the answered function is called. */
export function repeat(scheduler: Scheduler, everyMs: number, act: () => void): () => void {
  let cancel: () => void;
  const arm = () => {
    cancel = scheduler.setTimer(everyMs, () => {
      arm();
      act();
    });
  };
  arm();
  return () => cancel();
}
