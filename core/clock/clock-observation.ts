import type { ClockAnchor, ClockState, SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';

/** What was seen of a segment's offset at one moment of its line: its declaration's own, or an anchor. */
export interface ClockObservation {
  /** On the segment's monotonic line, microseconds. */
  atUs: number;
  /** Wall time minus monotonic time there. */
  offsetUs: number;
  uncertaintyUs: number;
  state: ClockState;
}

/** Observations of a state that are worse than this give way to those that are not: "to the second" is what is promised. */
const coarseUs = 1_000_000;

/** Better states first; the numbers are those of `ClockState`, written so because the enumeration would load gRPC. */
const states: readonly number[] = [1, 2, 4, 3];

/** Smaller is better: by state, then by whether it is good to a second. */
export function clockRank({ state, uncertaintyUs }: Pick<ClockObservation, 'state' | 'uncertaintyUs'>): number {
  const at = states.indexOf(state);
  return 2 * (at < 0 ? states.length : at) + (uncertaintyUs > coarseUs ? 1 : 0);
}

/** Whether somebody vouches for it: a time service, or the collector's own clock. */
export function isVouched({ state }: Pick<ClockObservation, 'state'>): boolean {
  return state === 1 || state === 2;
}

/** What a segment's declaration says. */
export function declaredObservation(segment: SegmentDeclaration): ClockObservation {
  const { observedAtUs: atUs, offsetUs, uncertaintyUs, state } = segment;
  return { atUs, offsetUs, uncertaintyUs, state };
}

/**
 * What is known of one segment's offset, piecewise: only the best observations count, and of those the latest at or before
 * a moment holds there, else the earliest after it, since the line has no steps and a good observation holds backwards.
 */
export class SegmentLine {
  readonly #best: ClockObservation[];
  /** The last moment that anything is known of. */
  readonly lastUs: number;

  /** `anchors` in order of id: of two for one moment the later holds. */
  constructor(segment: SegmentDeclaration, anchors: readonly ClockAnchor[]) {
    const all: ClockObservation[] = [declaredObservation(segment), ...anchors];
    const rank = all.reduce((best, one) => Math.min(best, clockRank(one)), Number.POSITIVE_INFINITY);
    this.#best = all.filter((one) => clockRank(one) === rank).sort((a, b) => a.atUs - b.atUs);
    this.lastUs = all.reduce((last, { atUs }) => Math.max(last, atUs), Number.NEGATIVE_INFINITY);
  }

  at(us: number): ClockObservation {
    let low = 0;
    let high = this.#best.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#best[middle]!.atUs <= us) low = middle + 1;
      else high = middle;
    }
    return this.#best[Math.max(0, low - 1)]!;
  }
}

/** The anchors of each segment, in order of id. */
export function anchorsBySegment(anchors: readonly (ClockAnchor | undefined)[]): Map<number, ClockAnchor[]> {
  const bySegment = new Map<number, ClockAnchor[]>();
  for (const anchor of anchors) {
    if (anchor === undefined) continue;
    const known = bySegment.get(anchor.segment);
    if (known === undefined) bySegment.set(anchor.segment, [anchor]);
    else known.push(anchor);
  }
  return bySegment;
}
