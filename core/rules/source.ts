import type { Signal } from './lifecycle.js';

/** A source's state as JSON holds it: plain numbers, and arrays of doubles as `packDoubles` writes them. */
export type SavedSource = Record<string, number | string>;

/** What a condition makes of the readings of one series: signals at readings, or at times of its own. */
export interface Source {
  /** Event time in microseconds at which it says something by itself once time has passed it; Infinity for never. */
  readonly dueUs: number;
  /** What the newest signal was given for. */
  readonly value: number;
  /** Of a condition judged on a grid, the time of the newest signal; 0 for others. See `Onset.gridUs`. */
  readonly gridUs: number;
  /** How old the newest signal may be and still tell what is. */
  readonly staleAfterUs: number;
  /** A reading that is no NaN, later than all before and not later than `dueUs`. `firing`: what it is a source of fires. */
  take(timeUs: number, value: number, firing: boolean): Signal;
  /** What it says at `dueUs`, now that no reading at or before that time is still to come; moves `dueUs`. */
  pass(): Signal;
  /**
   * Where `pass` would go on to say the same until the next reading: how far apart these times are, else 0. `skip` leaves
   * out a number of them.
   */
  readonly steadyUs: number;
  skip(times: number): void;
  /** Readings are missing between the newest one and the next, which follows. */
  restart(): void;
  /** Readings are missing between the newest one and this time, and none from there on; the next may be far. */
  resume(fromUs: number): void;
  save(): SavedSource;
}
