import { uniformAt } from './hashed-noise.js';

/**
 * What a broken sensor does: repeats its last value, shows a value far off, says nothing, or answers NaN.
 */
export type FaultKind = 'stuck' | 'spike' | 'dropout' | 'nan';

export interface Fault {
  kind: FaultKind;
  startUs: number;
  /** -1 or 1. */
  sign: number;
}

/** Windows in which at most one fault happens, in microseconds: 10 minutes. */
const WINDOW_US = 600_000_000;
const WINDOWS_PER_DAY = 144;
const DURATION_US: Readonly<Record<FaultKind, number>> = {
  stuck: 180_000_000,
  spike: 2_000_000,
  dropout: 60_000_000,
  nan: 5_000_000,
};
const KINDS: readonly FaultKind[] = ['stuck', 'spike', 'dropout', 'nan'];

/** When a sensor is broken and how, as a function of time: `perDay` faults a day on average, at most one in 10 minutes. */
export class FaultPlan {
  readonly #seed: number;
  readonly #chance: number;

  constructor(seed: number, perDay: number) {
    this.#seed = seed;
    this.#chance = perDay / WINDOWS_PER_DAY;
  }

  at(timeUs: number): Fault | undefined {
    if (this.#chance === 0) return undefined;
    const window = Math.floor(timeUs / WINDOW_US);
    if (uniformAt(this.#seed, window) >= this.#chance) return undefined;
    const kind = KINDS[Math.floor(uniformAt(this.#seed + 1, window) * KINDS.length)];
    const durationUs = DURATION_US[kind];
    const startUs = window * WINDOW_US + Math.floor(uniformAt(this.#seed + 2, window) * (WINDOW_US - durationUs));
    if (timeUs < startUs || timeUs >= startUs + durationUs) return undefined;
    return { kind, startUs, sign: uniformAt(this.#seed + 3, window) < 0.5 ? -1 : 1 };
  }
}
