import type { ForwardReadings } from './forward.js';
import type { Onset } from './incident-id.js';
import type { Rule } from './rule.js';
import { Threshold } from './threshold.js';

/** Where a rule stands for one series. A resolved incident leaves its rule inactive. */
export const PHASES = ['inactive', 'pending', 'firing'] as const;
export type Phase = (typeof PHASES)[number];

/** State of one rule for one series; changed in place. Plain data, so it can be copied and written down. */
export interface RuleState {
  phase: Phase;
  /** Event time of the onset, microseconds since the Unix epoch; meaningless while inactive. */
  sinceUs: number;
  onset: Onset | undefined;
  /** While firing: event time since which readings are clear, or NaN. */
  clearSinceUs: number;
}

/** The batch that readings stand in. */
export interface Origin {
  /** 32 hexadecimal digits. */
  epoch: string;
  sequence: number;
}

/** An incident begins to fire or ends. */
export interface Transition {
  to: 'firing' | 'resolved';
  onset: Onset;
  /** Event times in microseconds since the Unix epoch: of the onset, and of the reading that made the transition. */
  startedAtUs: number;
  atUs: number;
  /** The value that made the transition. */
  value: number;
}

/** What a rule asks, compiled. It holds no state of a series: one serves all series of its rule. */
export interface Condition {
  /** Moves `state` over readings in order of time and appends what happens to `out`. */
  evaluate(state: RuleState, readings: ForwardReadings, origin: Origin, out: Transition[]): void;
}

export function inactiveState(): RuleState {
  return { phase: 'inactive', sinceUs: 0, onset: undefined, clearSinceUs: Number.NaN };
}

/** Compiles what a rule asks. */
export function compile(rule: Rule): Condition {
  return new Threshold(rule);
}
