import { systemClock, systemScheduler } from '@tributary/core/clock/clock';
import type { Logger } from 'pino';
import { DerivedPipeline } from '../rules/pipeline.js';
import type { Store } from '../store/store.js';

/**
 * Makes rollups anew from the stored readings; those of times whose readings have expired stay as they are. The store must
 * not be served meanwhile. Rules are not evaluated again:
 * alerts are history, not something that is derived twice. Interrupted, it is completed by the next start.
 */
export async function rebuildRollups(store: Store, logger: Logger): Promise<void> {
  await store.clearRollups();
  const pipeline = new DerivedPipeline({
    store,
    rules: undefined,
    clock: systemClock,
    scheduler: systemScheduler,
    logger,
    wake: () => {},
  });
  await pipeline.start();
  await pipeline.flush();
  await pipeline.stop();
}
