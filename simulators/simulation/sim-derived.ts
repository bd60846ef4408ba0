import { DerivedPipeline } from '@tributary/collector/rules/pipeline';
import type { Store } from '@tributary/collector/store/store';
import { StoreError } from '@tributary/collector/store/store-error';
import { createLogger } from '@tributary/core/log/logger';
import type { SimClock } from './sim-clock.js';
import { SIM_RULES } from './sim-rules.js';
import type { Life, World } from './world.js';

export interface SimDerivedOptions {
  world: World;
  clock: SimClock;
  /** Of the collector's process. */
  life: Life;
  /** Makes the store; `fault` says how the disk refuses at the moment, if it does. */
  rulesStore: (fault: () => StoreError | undefined) => Store;
  storeFault: () => 'full' | 'io' | undefined;
}

/** As the collector's, shorter: a run is an hour, and history must be judged before its end. */
const LIMITS = { holeQuietMs: 120_000, holeWaitMs: 600_000 };

const logger = createLogger('simulation', 'silent');

/** Rules as the real collector has them, in one of its processes. What they ask of the store is answered within the event. */
export function startDerived(options: SimDerivedOptions): { derived: DerivedPipeline; started: Promise<void> } {
  const { world, clock, life, rulesStore, storeFault } = options;
  let isStarted = false;
  const fault = () => {
    // A real collector whose store refuses at the start does not start.
    const code = isStarted ? storeFault() : undefined;
    return code === undefined ? undefined : new StoreError(code, 'the simulated disk refuses');
  };
  const setTimer = (delayMs: number, fire: () => void) => {
    const fireAndSettle = () => {
      fire();
      world.settle();
    };
    return world.schedule(delayMs, fireAndSettle, life);
  };
  const derived = new DerivedPipeline({
    store: rulesStore(fault),
    rules: SIM_RULES,
    clock,
    scheduler: { nowMs: () => world.nowMs, setTimer },
    logger,
    wake: () => {},
    limits: LIMITS,
  });
  const started = derived.start().then(() => {
    isStarted = true;
  });
  return { derived, started };
}
