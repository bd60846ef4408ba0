import type { Silence } from '@tributary/proto/gen/tributary/v1/incident';
import { type AlertLabels, compileMatchers, type LabelMatcher } from './matchers.js';

/** The one of several silences that ends last, so that nobody looks again before it does. */
export interface Silenced {
  /** Ids of all that match, in the order in which they were made. */
  by: string[];
  /** When the last of them ends, microseconds of the collector's clock. */
  untilUs: number;
}

/** Silences of one moment, compiled once for however many alerts are compared with them. */
export class ActiveSilences {
  readonly #silences: readonly { silence: Silence; matches: LabelMatcher }[];

  /** Those that are active, as the store answers them. */
  constructor(silences: readonly Silence[]) {
    this.#silences = silences.map((silence) => ({ silence, matches: compileMatchers(silence.matchers?.globs ?? {}) }));
  }

  /** Which of them keep an alert from people; undefined for none. */
  silencing(labels: AlertLabels): Silenced | undefined {
    const found = this.#silences.filter(({ matches }) => matches(labels)).map(({ silence }) => silence);
    if (found.length === 0) return undefined;
    return {
      by: found.map(({ silenceId }) => silenceId),
      untilUs: Math.max(...found.map(({ untilUs }) => untilUs)),
    };
  }
}
