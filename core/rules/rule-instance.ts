import type { ForwardReadings } from './forward.js';
import type { Onset } from './incident-id.js';
import type { MergedReadings } from './merged-readings.js';
import type { Origin } from './origin.js';
import type { Phase } from './phase.js';
import type { SavedInstance } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';

/** An incident begins to fire or ends. */
export interface Transition {
  to: 'firing' | 'resolved';
  onset: Onset;
  /** Event times in microseconds since the Unix epoch: of the beginning, and of what made the transition. */
  startedAtUs: number;
  atUs: number;
  /** The value that made the transition. */
  value: number;
  /**
   * What the incident is about, with its onset what it is known by: the series; of a rule over several series the one whose
   * reading completed it; of a device that is absent an identity without a name.
   */
  series: SeriesIdentity;
}

/** State of one rule for one series, or for one device; changed in place. */
export interface RuleInstance {
  readonly phase: Phase;
  readonly onset: Onset | undefined;
  /** Event time of the beginning, microseconds since the Unix epoch; meaningless while inactive. */
  readonly sinceUs: number;
  /** Event time of the newest reading that it has seen; -Infinity before the first. */
  readonly lastUs: number;
  /** Grows whenever what `save` would answer has changed in a way that must survive a restart. */
  readonly revision: number;
  /** Event time from which on `passTime` may find something; Infinity while there is nothing to wait for. */
  readonly dueUs: number;
  /** Rules over a series: readings in order of time, each later than all before. What happens is appended to `out`. */
  advance(readings: ForwardReadings, origin: Origin, out: Transition[]): void;
  /** Rules over a device: readings of several series in order of time. What happens is appended to `out`. */
  advanceMerged(readings: MergedReadings, out: Transition[]): void;
  /** No reading at or before this event time is still to come. */
  passTime(untilUs: number, out: Transition[]): void;
  /** The device was heard of at this time of the collector's clock; only rules that watch devices ask for it. */
  heard(atUs: number, out: Transition[]): void;
  /**
   * Readings are missing between the newest one and whatever comes next: not here yet, or lost for ever. `passTime` up to the
   * newest reading of the device before them goes before it: so far all were there, whatever series they are of.
   */
  interrupt(): void;
  /**
   * After `interrupt`: from this event time on no readings are missing again, wherever the next reading of a series may be.
   * Silence can be told from then on, also of a series that spoke before the interruption only.
   */
  resume(fromUs: number, out: Transition[]): void;
  /** `unknown` when data is missing at this event time: interrupted, or nothing for longer than the rule's `gap`. */
  statusAt(nowUs: number): Phase | 'unknown';
  /** Plain JSON. What `restore` makes of it behaves like this instance from then on. */
  save(): SavedInstance;
}
