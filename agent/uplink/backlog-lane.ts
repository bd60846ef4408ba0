import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';

/** One mark a second is fine enough for a bound of half a minute, and 64 of them bound the memory. */
const markIntervalMs = 1000;
const marksMax = 64;

/** Everything above this sequence was appended at `atMs` or later. */
interface Mark {
  sequence: number;
  atMs: number;
}

/**
 * Remembers roughly when sequences were appended, to tell what happens now from what is history. What an earlier run left
 * behind is history. Clocks of items are not looked at: they may be wrong, and order must not depend on them.
 */
export class BacklogLane {
  readonly #marks: Mark[] = [];
  readonly #liveMs: number;
  readonly #liveBytes: number;

  /** How old, or how large, a backlog may be to be live. */
  constructor(liveMs: number, liveBytes: number) {
    this.#liveMs = liveMs;
    this.#liveBytes = liveBytes;
  }

  /** Something was appended above `highestBefore`. */
  appended(highestBefore: number, nowMs: number): void {
    const last = this.#marks.at(-1);
    if (last !== undefined && nowMs - last.atMs < markIntervalMs) return;
    this.#marks.push({ sequence: highestBefore, atMs: nowMs });
    if (this.#marks.length > marksMax) this.#marks.shift();
  }

  /** Sequences begin anew. */
  clear(): void {
    this.#marks.length = 0;
  }

  /** The lane of a stream that begins at `sequence`, with `bytesLeft` waiting from there on. */
  laneOf(sequence: number, bytesLeft: number, nowMs: number): Lane.LIVE | Lane.BACKFILL {
    if (bytesLeft <= this.#liveBytes) return Lane.LIVE;
    const youngFrom = this.youngFrom(nowMs);
    return youngFrom !== undefined && sequence >= youngFrom ? Lane.LIVE : Lane.BACKFILL;
  }

  /** The first sequence that is young enough to be live, however much there is of it; undefined when none is known. */
  youngFrom(nowMs: number): number | undefined {
    const young = this.#marks.find((mark) => mark.atMs >= nowMs - this.#liveMs);
    return young === undefined ? undefined : young.sequence + 1;
  }
}
