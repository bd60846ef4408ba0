import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Logger } from 'pino';
import type { Store } from '../store/store.js';

export interface UpkeepOptions {
  store: Store;
  clock: Clock;
  scheduler: Scheduler;
  logger: Logger;
  /** What is older is removed, by event time; 'forever' for never. */
  retention: Record<'readings' | 'rollups' | 'alerts', number | 'forever'>;
}

/** Retention is counted in days: an hour late is on time. */
const EXPIRE_INTERVAL_MS = 3_600_000;
/** Small neighbours pile up with each commit; a minute's worth is merged in one go. */
const COMPACT_INTERVAL_MS = 60_000;

/** What the store needs done now and then: removing what is too old, merging what is small. One thing at a time. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #cancels = new Map<string, () => void>();
  #working: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    // Soon after the start as well: a collector that is started often, or that is full, must not wait an hour each time.
    this.#every('expire', COMPACT_INTERVAL_MS, EXPIRE_INTERVAL_MS, () => this.#expire());
    this.#every('compact', COMPACT_INTERVAL_MS, COMPACT_INTERVAL_MS, async () => {
      await this.#options.store.compact();
    });
  }

  /** Ends after what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#cancels.values()) cancel();
    await this.#working;
  }

  async #expire(): Promise<void> {
    const { store, clock, logger, retention } = this.#options;
    const before = (age: number | 'forever') =>
      age === 'forever' ? Number.NEGATIVE_INFINITY : clock.wallUs() - age * 1000;
    const readings = retention.readings === 'forever' ? 0 : await store.expire(before(retention.readings));
    const { rollups, alerts } = await store.expireDerived(before(retention.rollups), before(retention.alerts));
    if (readings + rollups + alerts > 0) {
      logger.info({ readings, rollups, alerts }, 'readings, rollups and alerts were removed because of their age');
    }
  }

  #every(name: string, firstMs: number, intervalMs: number, work: () => Promise<void>): void {
    const { scheduler, logger } = this.#options;
    const cancel = scheduler.setTimer(firstMs, () => {
      this.#working = this.#working
        .then(() => (this.#stopped ? undefined : work()))
        .catch((error: unknown) => logger.warn({ err: error }, `${name}: the store could not; it is tried again`))
        .then(() => {
          if (!this.#stopped) this.#every(name, intervalMs, intervalMs, work);
        });
    });
    this.#cancels.set(name, cancel);
  }
}
