import type { Random } from '@tributary/core/clock/random';

/** What a machine may lack. */
export type Need = 'root' | 'loop' | 'tmpfs' | 'cgroup' | 'compiler' | 'linux';

/** All in readings, measured in that run, summed over its repetitions. */
export interface FaultCounts {
  /** Committed by devices to what they keep readings in, by a ledger outside the system. */
  produced: number;
  /** Found at the collector, each number once. */
  stored: number;
  /** In the collector's ledger with a reason. */
  declared: number;
  /** Produced, and neither stored nor declared. */
  missing: number;
  /** Found at the collector once too often. */
  duplicates: number;
  /** Found at the collector with another value, time or number than any that was produced. */
  altered: number;
}

export interface FaultOutcome extends FaultCounts {
  /** What the row demands and was not so. A count that is wrong (missing, doubled, altered) need not be told here. */
  problems: string[];
  /** Figures that the row measured, for people: `restarts p50 0.8 s, worst 1.1 s`. */
  figures: string;
}

export interface FaultContext {
  /** How often the fault strikes. */
  times: number;
  seed: number;
  /** How long a row that has no end of its own goes on; undefined for what its form says. */
  minutes: number | undefined;
  /** The short form: what a row waits for may be shorter too, where waiting teaches nothing. */
  isShort: boolean;
  /** Seeded. */
  random: Random;
  /** The row's own, removed afterwards. */
  folder: string;
  /**
   * What bounds on time are multiplied by: 1 in a campaign. The short forms run beside other tests on busy machines, where
   * a bound of time says little; counts are never relaxed.
   */
  patience: number;
  /** Tells whoever watches how far it is. */
  log: (text: string) => void;
}

/** One row of the fault list. */
export interface Fault {
  number: number;
  title: string;
  /** Repetitions of the full campaign, and of the short form in the tests. */
  times: number;
  shortTimes: number;
  needs?: readonly Need[];
  /** Throws when the row could not be carried through, which fails it. */
  run(context: FaultContext): Promise<FaultOutcome>;
}

export const NOTHING: FaultCounts = { produced: 0, stored: 0, declared: 0, missing: 0, duplicates: 0, altered: 0 };

export function addCounts(a: FaultCounts, b: FaultCounts): FaultCounts {
  return {
    produced: a.produced + b.produced,
    stored: a.stored + b.stored,
    declared: a.declared + b.declared,
    missing: a.missing + b.missing,
    duplicates: a.duplicates + b.duplicates,
    altered: a.altered + b.altered,
  };
}
