import type { Clock } from '@tributary/core/clock/clock';
import type { ClockObservation } from '@tributary/core/clock/clock-observation';
import type { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import type { HostTime } from './host-time.js';

/** Written as numbers, because the generated enumeration would load gRPC. */
const synchronized: ClockState.SYNCHRONIZED = 1;
const unsynchronized: ClockState.UNSYNCHRONIZED = 3;

/** NTP over a poor link. */
const synchronizedUncertaintyUs = 50_000;

/** A clock that nobody vouches for can be anything; a day says so without overflowing anybody's arithmetic. */
export const unknownUncertaintyUs = 86_400_000_000;

/**
 * A wall clock that moved less than this against the monotonic one was slewed, or read a moment apart; more is a step, or a
 * sleep. Clocks that come back from a sleep by a real-time clock of whole seconds are off by less.
 */
const stepUs = 1_000_000;

/** All that can be seen of the clocks in one moment. */
export interface ClockLook {
  monotonicUs: number;
  wallUs: number;
  synchronizedAtUs: number | undefined;
  /** How long this boot has slept; undefined where nobody tells. */
  asleepUs: number | undefined;
}

export function lookAtClocks(clock: Clock, host: HostTime): ClockLook {
  const monotonicUs = clock.monotonicUs();
  const sinceBootUs = host.sinceBootUs();
  return {
    monotonicUs,
    wallUs: clock.wallUs(),
    synchronizedAtUs: host.synchronizedAtUs(),
    // Less than the monotonic clock has counted is the uptime of a container, not of the machine.
    asleepUs: sinceBootUs === undefined || sinceBootUs < monotonicUs - stepUs ? undefined : sinceBootUs - monotonicUs,
  };
}

export interface Seen {
  /** How long the machine slept since the look before, 0 when it did not: the monotonic line has a hole there. */
  sleptUs: number;
  observation: ClockObservation;
}

/**
 * What follows from one look at the clocks after another. A time service vouches for the wall clock from its first success
 * on, until somebody steps the clock without it: then nobody does until its next success.
 */
export class ClockWatch {
  #last: ClockLook;
  #isDoubtful: boolean;

  /** `knownOffsetUs`: what an earlier start in this boot knew, before this boot slept for `first.asleepUs` at the most. */
  constructor(first: ClockLook, knownOffsetUs?: number) {
    this.#last = first;
    const movedUs = first.wallUs - first.monotonicUs - (knownOffsetUs ?? first.wallUs - first.monotonicUs);
    // A success in what is now the future, or another offset than was known: somebody has set the clock since.
    const isAhead = (first.synchronizedAtUs ?? 0) > first.wallUs + stepUs;
    this.#isDoubtful = isAhead || movedUs <= -stepUs || movedUs >= Math.max(0, first.asleepUs ?? 0) + stepUs;
  }

  /** What the newest look said. */
  get observation(): ClockObservation {
    return this.#observe(this.#last);
  }

  /** Whether this boot has slept; undefined where nobody tells. */
  get hasSlept(): boolean | undefined {
    return this.#last.asleepUs === undefined ? undefined : this.#last.asleepUs >= stepUs;
  }

  look(now: ClockLook): Seen {
    const last = this.#last;
    const wasSynchronized = this.#isSynchronized(last);
    this.#last = now;
    const elapsedUs = now.monotonicUs - last.monotonicUs;
    const movedUs = now.wallUs - last.wallUs - elapsedUs;
    const asleepUs = sleepBetween(last, now) ?? (wasSynchronized && this.#isSynchronized(now) ? movedUs : 0);
    const slept = asleepUs >= stepUs;
    const steppedUs = slept ? movedUs - asleepUs : movedUs;
    const isNewSuccess = now.synchronizedAtUs !== last.synchronizedAtUs;
    if (isNewSuccess && isConfirmed(now, elapsedUs + Math.max(0, asleepUs))) this.#isDoubtful = false;
    else if (Math.abs(steppedUs) >= stepUs) this.#isDoubtful = true;
    return { sleptUs: slept ? asleepUs : 0, observation: this.#observe(now) };
  }

  /** The collector's clock says that this one is wrong, whoever vouches for it. */
  contradicted(): void {
    this.#isDoubtful = true;
  }

  #isSynchronized(look: ClockLook): boolean {
    return look.synchronizedAtUs !== undefined && !this.#isDoubtful;
  }

  #observe(look: ClockLook): ClockObservation {
    const isSynchronized = this.#isSynchronized(look);
    return {
      atUs: look.monotonicUs,
      offsetUs: look.wallUs - look.monotonicUs,
      uncertaintyUs: isSynchronized ? synchronizedUncertaintyUs : unknownUncertaintyUs,
      state: isSynchronized ? synchronized : unsynchronized,
    };
  }
}

/** How long the machine slept between two looks; undefined where nobody tells. */
function sleepBetween(last: ClockLook, now: ClockLook): number | undefined {
  if (last.asleepUs === undefined || now.asleepUs === undefined) return undefined;
  return now.asleepUs - last.asleepUs;
}

/**
 * Whether the time service's latest success, which came between two looks, came after a step that fell between them too:
 * one before it was written down by the clock as it was then, and lies elsewhere now.
 */
function isConfirmed({ wallUs, synchronizedAtUs }: ClockLook, sinceUs: number): boolean {
  if (synchronizedAtUs === undefined) return false;
  const ageUs = wallUs - synchronizedAtUs;
  return ageUs > -stepUs && ageUs <= sinceUs;
}
