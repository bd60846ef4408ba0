import type { Onset } from './incident-id.js';
import { type Durations, Lifecycle, Outcome } from './lifecycle.js';
import type { Phase } from './phase.js';
import type { Transition } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';

/** What every instance of a rule has: a lifecycle, how far it has come, and what it tells of itself. */
export abstract class LivingInstance {
  lastUs = Number.NEGATIVE_INFINITY;
  revision = 0;
  protected readonly life: Lifecycle;

  constructor(durations: Durations, saved?: SavedInstance) {
    this.life = new Lifecycle(durations);
    if (saved === undefined) return;
    this.life.restore(saved);
    this.lastUs = saved.lastUs ?? Number.NEGATIVE_INFINITY;
  }

  get phase(): Phase {
    return this.life.phase;
  }

  get onset(): Onset | undefined {
    return this.life.onset;
  }

  get sinceUs(): number {
    return this.life.sinceUs;
  }

  /** Appends the transition that a step of the lifecycle has brought about, if any, and ends an incident that is over. */
  protected tell(outcome: Outcome, atUs: number, value: number, series: SeriesIdentity, out: Transition[]): void {
    if (outcome === Outcome.NOTHING) return;
    const { onset, sinceUs: startedAtUs } = this.life;
    const to = outcome === Outcome.FIRED ? 'firing' : 'resolved';
    out.push({ to, onset: onset!, startedAtUs, atUs, value, series });
    if (outcome === Outcome.RESOLVED) this.life.end();
  }
}
