import type { Logger } from 'pino';

/** What is ended, by the little that is asked of it. */
export interface ShutDownParts {
  host: { announceEnd(): void; close(graceMs: number): Promise<void> };
  core: { readonly idle: boolean; stop(): void };
  alerts: { stop(): void };
  derived: { stop(): Promise<void> };
  notifier: { stop(graceMs: number): Promise<void> };
  upkeep: { stop(): Promise<void> };
  store: { close(): Promise<void> };
  health: { close(): Promise<void> };
  logger: Logger;
}

/** What each step may take; together less than the 25 s that service managers give before they kill. */
const DRAIN_MS = 10_000;
const CALLS_MS = 3000;
const DERIVED_MS = 5000;
const STORE_MS = 5000;
/** Inside the step of derived data: what receivers have not taken by then is told by the next process. */
const NOTIFY_MS = 2000;

/** Whether ingest is idle is looked at this often. */
const POLL_MS = 10;

/**
 * Ends a collector in order: it says that it goes, takes nothing new, answers what it has taken, ends the calls, saves what
 * follows from the data, and closes the store. What hangs is left behind: whatever was acknowledged is on disk already.
 */
export async function shutDown(parts: ShutDownParts): Promise<void> {
  const { host, core, alerts, derived, notifier, upkeep, store, health, logger } = parts;
  logger.info('the collector stops');
  host.announceEnd();
  core.stop();
  alerts.stop();
  const failed = (error: unknown) => logger.error({ err: error }, 'a step of the shutdown failed');
  const within = (milliseconds: number, work: Promise<unknown>) => doneWithin(milliseconds, work.catch(failed));
  const drained = await within(DRAIN_MS, untilIdle(core, Date.now() + DRAIN_MS));
  if (!drained) logger.warn('uploads were cut off: their commit took too long; devices send them again');
  await host.close(CALLS_MS);
  const saved = await within(DERIVED_MS, Promise.all([upkeep.stop(), derived.stop(), notifier.stop(NOTIFY_MS)]));
  if (!saved) logger.warn('derived data was not saved in time; it is made again at the next start');
  if (!(await within(STORE_MS, store.close()))) logger.warn('the store did not close in time');
  await health.close();
  logger.info('the collector has stopped');
}

async function untilIdle(core: ShutDownParts['core'], deadlineMs: number): Promise<void> {
  while (!core.idle && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Waits for `work`, but not longer than this; whether it was done in time. */
async function doneWithin(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const done = work.then(() => true);
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
}
