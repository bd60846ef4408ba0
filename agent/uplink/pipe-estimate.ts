/** What of the limits the pipe keeps within. */
export interface PipeLimits {
  backfillStreamsMax: number;
  backfillBytesUnderWayMin: number;
  backfillBytesUnderWayMax: number;
  backfillQueueMs: number;
  windowBytes: number;
  windowRoundTripMs: number;
  streamDurationMs: number;
}

/** What had arrived when a stream was opened, and when that was known. */
export interface PipeMark {
  arrivedBytes: number;
  atMs: number;
}

/** Of as many answers the fastest counts: long enough to outlive a hiccup, short enough to follow a link that got slower. */
const samplesMax = 8;

/** A rate that rises by a quarter when twice as much is under way says that the pipe was not full. */
const riseMin = 1.25;

/**
 * How much may be under way on this connection, measured from its answers. Writes say nothing: the machine takes a megabyte
 * for a link that moves eight kilobytes a second. So the rate is what was answered over the time that it took, and
 * backfill may have as much under way as the pipe holds and a short queue in front of it: a link is kept busy, and a live
 * item never waits behind more than that queue. Every few answers twice as much is tried, since a pipe that has become
 * wider, or a store that has become faster, shows itself only when more is sent.
 */
export class PipeEstimate {
  readonly #limits: PipeLimits;
  readonly #rates: number[] = [];
  #roundTripMs: number | undefined;
  #underWayMax: number;
  #arrivedBytes = 0;
  #arrivedAtMs = 0;
  #sinceProbe = 0;

  constructor(limits: PipeLimits) {
    this.#limits = limits;
    this.#underWayMax = 2 * limits.backfillBytesUnderWayMin;
  }

  /** A new connection: another way, perhaps another collector. */
  reset(): void {
    this.#rates.length = 0;
    this.#roundTripMs = undefined;
    this.#underWayMax = 2 * this.#limits.backfillBytesUnderWayMin;
    this.#sinceProbe = 0;
  }

  /** A small question was answered; what the collector itself took is not in it. */
  roundTrip(ms: number): void {
    this.#roundTripMs = Math.min(this.#roundTripMs ?? Number.POSITIVE_INFINITY, Math.max(0, ms));
  }

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** Bytes a second; undefined before the first full stream was answered. */
  get bytesPerSecond(): number | undefined {
    return this.#rates.length === 0 ? undefined : Math.max(...this.#rates) * 1000;
  }

  /** What backfill may have sent and not been answered. */
  get underWayMax(): number {
    return this.#underWayMax;
  }

  /**
   * What one backfill stream carries: half of what may be under way, so that the next is on its way while the collector
   * answers. A server's receive window is 64 KiB a stream: what is beyond it waits for a round trip of its own, so on
   * a long way a stream is one window, and several are open at a time.
   */
  get backfillStreamBytes(): number {
    const half = Math.floor(this.#underWayMax / 2);
    const { windowBytes, windowRoundTripMs } = this.#limits;
    return (this.#roundTripMs ?? 0) >= windowRoundTripMs ? Math.min(half, windowBytes) : half;
  }

  /** What a live stream carries at the most: what the link moves while a stream may last. */
  get liveStreamBytes(): number {
    const rate = this.bytesPerSecond;
    if (rate === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(this.#limits.backfillBytesUnderWayMin, (rate * this.#limits.streamDurationMs) / 1000);
  }

  /** A stream is opened; `isEmpty` when nothing else is under way. */
  mark(nowMs: number, isEmpty: boolean): PipeMark {
    return { arrivedBytes: this.#arrivedBytes, atMs: isEmpty ? nowMs : this.#arrivedAtMs };
  }

  /** A stream's bytes have arrived. `isFull`: it carried what it might, so the pipe alone decided how long that took. */
  arrived(mark: PipeMark, bytes: number, nowMs: number, isFull: boolean): void {
    this.#arrivedBytes += bytes;
    this.#arrivedAtMs = nowMs;
    if (bytes === 0) return;
    const best = this.#rates.length === 0 ? 0 : Math.max(...this.#rates);
    const rate = (this.#arrivedBytes - mark.arrivedBytes) / Math.max(1, nowMs - mark.atMs);
    // A stream that had nothing more to carry says only that the pipe is not slower than that.
    if (!isFull && rate < best) return;
    this.#rates.push(rate);
    if (this.#rates.length > samplesMax) this.#rates.shift();
    if (rate >= best * riseMin) this.#widen();
    else if (++this.#sinceProbe >= samplesMax) this.#widen();
    else this.#fit();
  }

  #widen(): void {
    this.#sinceProbe = 0;
    this.#underWayMax = Math.min(2 * this.#underWayMax, this.#limits.backfillBytesUnderWayMax);
  }

  #fit(): void {
    const { backfillBytesUnderWayMin, backfillBytesUnderWayMax, backfillQueueMs } = this.#limits;
    const bytes = Math.max(...this.#rates) * ((this.#roundTripMs ?? 0) + backfillQueueMs);
    this.#underWayMax = Math.round(Math.max(backfillBytesUnderWayMin, Math.min(bytes, backfillBytesUnderWayMax)));
  }
}
