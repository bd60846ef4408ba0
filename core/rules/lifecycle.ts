import type { Onset } from './incident-id.js';
import type { Phase } from './phase.js';
import type { SavedInstance } from './saved-instance.js';

/** What a reading, or a moment, says to a rule. */
export const Signal = {
  /** Nothing at all, as NaN. */
  NONE: 0,
  SATISFIED: 1,
  /** Neither satisfied nor clear: between the threshold and `clear`. */
  HELD: 2,
  CLEAR: 3,
  /** Data is missing: until the next signal no time counts. */
  UNKNOWN: 4,
} as const;
export type Signal = (typeof Signal)[keyof typeof Signal];

/** What a signal brought about. */
export const Outcome = { NOTHING: 0, FIRED: 1, RESOLVED: 2 } as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** A rule's durations, in microseconds. */
export interface Durations {
  forUs: number;
  keepFiringForUs: number;
  gapUs: number;
}

export function durationsOf(rule: { for: number; keep_firing_for: number; gap: number }): Durations {
  return { forUs: rule.for * 1000, keepFiringForUs: rule.keep_firing_for * 1000, gapUs: rule.gap * 1000 };
}

/**
 * The way of a rule through inactive, pending and firing, driven by signals in order of time. Only covered time counts for
 * `for` and `keep_firing_for`: the intervals between consecutive signals that are no longer than `gap` and that no data is
 * missing in.
 */
export class Lifecycle {
  phase: Phase = 'inactive';
  /** Event time of the beginning; meaningless while inactive. */
  sinceUs = 0;
  onset: Onset | undefined;
  /** Covered time so far: while pending for `for`, while clearing for `keep_firing_for`. */
  coveredUs = 0;
  /** Firing, and the newest signal was clear. */
  clearing = false;
  /** Event time of the newest signal. */
  signalUs = Number.NEGATIVE_INFINITY;
  /** Data is missing between the newest signal and the next. */
  broken = false;

  readonly #durations: Durations;

  constructor(durations: Durations) {
    this.#durations = durations;
  }

  /** Whether a signal of this kind begins an incident now; then `begin` goes before `step`. */
  begins(signal: Signal): boolean {
    return signal === Signal.SATISFIED && this.phase === 'inactive';
  }

  begin(onset: Onset, sinceUs: number): void {
    this.phase = 'pending';
    this.onset = onset;
    this.sinceUs = sinceUs;
    this.coveredUs = 0;
    // What lies before the onset does not count.
    this.broken = true;
  }

  step(signal: Signal, timeUs: number): Outcome {
    if (signal === Signal.NONE) return Outcome.NOTHING;
    if (signal === Signal.UNKNOWN) {
      this.broken = true;
      return Outcome.NOTHING;
    }
    const { gapUs, forUs, keepFiringForUs } = this.#durations;
    const sinceUs = timeUs - this.signalUs;
    const coveredUs = this.broken || sinceUs > gapUs ? 0 : sinceUs;
    this.broken = false;
    this.signalUs = timeUs;
    if (this.phase === 'inactive') return Outcome.NOTHING;
    if (this.phase === 'pending') {
      if (signal !== Signal.SATISFIED) {
        this.end();
        return Outcome.NOTHING;
      }
      this.coveredUs += coveredUs;
      if (this.coveredUs < forUs) return Outcome.NOTHING;
      this.fire();
      return Outcome.FIRED;
    }
    if (signal !== Signal.CLEAR) {
      this.clearing = false;
      return Outcome.NOTHING;
    }
    this.coveredUs = this.clearing ? this.coveredUs + coveredUs : 0;
    this.clearing = true;
    return this.coveredUs < keepFiringForUs ? Outcome.NOTHING : Outcome.RESOLVED;
  }

  /** How often a signal, given once, may be given again at this distance before it makes a transition. */
  repeatable(signal: Signal, everyUs: number): number {
    const { gapUs, forUs, keepFiringForUs } = this.#durations;
    const counting = this.phase === 'pending' ? signal === Signal.SATISFIED : this.clearing && signal === Signal.CLEAR;
    if (!counting || everyUs > gapUs) return Infinity;
    const wantedUs = this.phase === 'pending' ? forUs : keepFiringForUs;
    return Math.ceil((wantedUs - this.coveredUs) / everyUs) - 1;
  }

  /** A signal is given as often again, which makes no transition. */
  repeat(times: number, everyUs: number): void {
    this.signalUs += times * everyUs;
    const counting = this.phase === 'pending' || this.clearing;
    if (counting && everyUs <= this.#durations.gapUs) this.coveredUs += times * everyUs;
  }

  fire(): void {
    this.phase = 'firing';
    this.clearing = false;
    this.coveredUs = 0;
  }

  /** Back to inactive: after a resolution, which still needs the onset, or when pending comes to nothing. */
  end(): void {
    this.phase = 'inactive';
    this.onset = undefined;
    this.clearing = false;
    this.coveredUs = 0;
  }

  statusAt(nowUs: number): Phase | 'unknown' {
    return this.broken || nowUs - this.signalUs > this.#durations.gapUs ? 'unknown' : this.phase;
  }

  save(version: string, lastUs: number): SavedInstance {
    const { phase, sinceUs, onset, coveredUs, clearing, broken, signalUs } = this;
    return {
      version,
      phase,
      ...(phase !== 'inactive' && onset !== undefined && { sinceUs, onset }),
      ...(coveredUs > 0 && { coveredUs }),
      ...(clearing && { clearing }),
      ...(broken && { broken }),
      ...(Number.isFinite(lastUs) && { lastUs }),
      ...(Number.isFinite(signalUs) && { signalUs }),
    };
  }

  restore(saved: SavedInstance): void {
    this.signalUs = saved.signalUs ?? Number.NEGATIVE_INFINITY;
    this.broken = saved.broken ?? false;
    // A state that lacks its onset is taken as inactive.
    if (saved.phase === 'inactive' || saved.onset === undefined || saved.sinceUs === undefined) return;
    this.phase = saved.phase;
    this.onset = saved.onset;
    this.sinceUs = saved.sinceUs;
    this.coveredUs = saved.coveredUs ?? 0;
    this.clearing = saved.clearing ?? false;
  }
}
