import { normalRanges } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';

/** Ranges of doubt that are kept on disk, 16 bytes each in a row that every transaction writes. */
const DOUBT_RANGES_MAX = 64;

/** Ranges of doubt, merged over what lies between until they are few: more is in doubt then than has to be. */
export function boundedRanges(ranges: readonly SequenceRange[]): SequenceRange[] {
  const bounded = normalRanges(ranges);
  while (bounded.length > DOUBT_RANGES_MAX) {
    let narrowest = 1;
    for (let at = 2; at < bounded.length; at++) {
      if (gapBefore(bounded, at) < gapBefore(bounded, narrowest)) narrowest = at;
    }
    const [{ last }] = bounded.splice(narrowest, 1);
    bounded[narrowest - 1].last = last;
  }
  return bounded;
}

function gapBefore(ranges: readonly SequenceRange[], at: number): number {
  return ranges[at].first - ranges[at - 1].last;
}
