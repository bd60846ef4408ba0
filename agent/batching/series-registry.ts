import type { SeriesSpec } from '../sensors/source.js';

/**
 * What the catalogue answers for a series: its id; `pending` while the declaration is on its way to the disk; `refused`
 * when it will never have one, because its name is taken by a series of another type or the catalogue is full.
 */
export type SeriesAnswer = number | 'pending' | 'refused';

/** The catalogue as the batcher sees it. Synchronous: a series that is new is declared behind it. */
export interface SeriesRegistry {
  /** Answers from memory; the first question for a new series begins its declaration. */
  idOf(spec: SeriesSpec): SeriesAnswer;
}
