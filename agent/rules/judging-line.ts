import type { Clock } from '@tributary/core/clock/clock';
import * as v from 'valibot';
import type { LineMoment } from '../buffer/buffer.js';

/** Segments that are remembered: an incident that began before so many starts and sleeps is dated by the oldest of them. */
const PIECES_MAX = 64;

const pieceSchema = v.object({
  segment: v.number(),
  /** Where it begins on the judging line. */
  fromUs: v.number(),
  /** To be added to the segment's monotonic times. */
  shiftUs: v.number(),
});

/** As it is written down. */
export const savedLineSchema = v.object({
  pieces: v.array(pieceSchema),
  /** No moment that was judged lies behind this one. */
  lastUs: v.number(),
});

export type SavedLine = v.InferOutput<typeof savedLineSchema>;
type Piece = v.InferOutput<typeof pieceSchema>;

/** Of a piece whose segment is not declared yet. */
const UNDECLARED = -1;

/**
 * The line of time that a device judges its monotonic readings on, in microseconds. It goes on from segment to segment and
 * from start to start, and never steps within one: what the wall clock says, and whether it is known at all, moves nothing on
 * it. Only where a segment begins, after a start or a sleep, it is moved ahead to the wall clock, so that what repeats day by
 * day is judged at its hour; it is never moved back.
 */
export class JudgingLine {
  readonly #pieces: Piece[];
  readonly #clock: Pick<Clock, 'monotonicUs' | 'wallUs'>;

  /** At a start of the agent: `saved` is as the last one left it. */
  constructor(saved: SavedLine | undefined, clock: Pick<Clock, 'monotonicUs' | 'wallUs'>) {
    this.#clock = clock;
    this.#pieces = saved?.pieces.slice(-PIECES_MAX + 1) ?? [];
    const fromUs = Math.max(clock.wallUs(), (saved?.lastUs ?? Number.NEGATIVE_INFINITY) + 1);
    this.#pieces.push({ segment: UNDECLARED, fromUs, shiftUs: fromUs - clock.monotonicUs() });
  }

  /** What to add to a segment's monotonic times; a segment that was not seen before begins there. `segment` -1 is the one of now. */
  shiftUs(segment: number, us: number): number {
    const newest = this.#pieces.at(-1)!;
    if (segment === UNDECLARED || segment === newest.segment) return newest.shiftUs;
    if (newest.segment === UNDECLARED) {
      newest.segment = segment;
      return newest.shiftUs;
    }
    const known = this.#pieces.findLast((piece) => piece.segment === segment);
    if (known !== undefined) return known.shiftUs;
    const shiftUs = Math.max(newest.shiftUs, this.#clock.wallUs() - this.#clock.monotonicUs());
    this.#pieces.push({ segment, fromUs: us + shiftUs, shiftUs });
    if (this.#pieces.length > PIECES_MAX) this.#pieces.shift();
    return shiftUs;
  }

  /** The segment of now and where it begins on this line; -1 for one that is not declared yet. */
  get newest(): { segment: number; fromUs: number } {
    return this.#pieces.at(-1)!;
  }

  /** Now, from the monotonic clock. */
  at(monotonicUs: number): number {
    return monotonicUs + this.#pieces.at(-1)!.shiftUs;
  }

  /** The segment in which a moment lies, and where on its own line. */
  locate(lineUs: number): LineMoment {
    const piece = this.#pieces.findLast(({ fromUs }) => fromUs <= lineUs) ?? this.#pieces[0]!;
    return { segment: Math.max(piece.segment, 0), us: lineUs - piece.shiftUs };
  }

  save(nowUs: number): SavedLine {
    return { pieces: this.#pieces.filter(({ segment }) => segment !== UNDECLARED), lastUs: this.at(nowUs) };
  }
}
