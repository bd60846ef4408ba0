/** What of the limits the pipe keeps within. */
export interface PipeLimits {
  liveStreamBytesFirst: number;
  backfillStreamsMax: number;
  backfillBytesUnderWayMin: number;
  backfillBytesUnderWayMax: number;
  backfillQueueMs: number;
  windowBytes: number;
  windowRoundTripMs: number;
  streamDurationMs: number;
}

/** What was so when a stream was opened. */
export interface PipeMark {
  openedMs: number;
  /** What backfill had under way. */
  aheadBytes: number;
  /** What had arrived, and since when that was known. */
  arrivedBytes: number;
  arrivedAtMs: number;
}

/** What went before a stream's answer, its own bytes included, and how long that took. */
interface Sample {
  bytes: number;
  ms: number;
}

/** Enough for a slope among answers that take now more, now less; few enough to follow a link that changes. */
const samplesMax = 16;

/** With less between the smallest and the largest, a slope would be made of chance. */
const spreadMin = 1.5;

/**
 * How much may be under way on this connection, measured from its answers. Writes say nothing: the machine takes a megabyte
 * for a link that moves eight kilobytes a second. What is measured is how much later an answer comes for each byte that is
 * under way before it. That is the time the link takes for a byte; a long way or a slow store delays every answer alike.
 * Backfill may have as much under way as the pipe holds and a short queue in front of it, so that a link is kept busy
 * and a live item never waits behind more than that queue. When all of the latest answers were for as much, more is tried,
 * or less: nothing else would show that a link has become wider, or narrower.
 */
export class PipeEstimate {
  readonly #limits: PipeLimits;
  #samples: Sample[] = [];
  #rates: number[] = [];
  #roundTripMs: number | undefined;
  #underWayMax: number;
  #arrivedBytes = 0;
  #arrivedAtMs = 0;
  /** What had arrived when more was tried: only streams from after it show what that brought. */
  #triedAtBytes = 0;

  constructor(limits: PipeLimits) {
    this.#limits = limits;
    this.#underWayMax = 2 * limits.backfillBytesUnderWayMin;
  }

  /** A new connection: another way, perhaps another collector. */
  reset(): void {
    this.#samples = [];
    this.#rates = [];
    this.#roundTripMs = undefined;
    this.#underWayMax = 2 * this.#limits.backfillBytesUnderWayMin;
    this.#triedAtBytes = 0;
  }

  /** A small question was answered; what the collector itself took is not in it. */
  roundTrip(ms: number): void {
    this.#roundTripMs = Math.min(this.#roundTripMs ?? Number.POSITIVE_INFINITY, Math.max(0, ms));
  }

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** What arrived lately, bytes a second; undefined before the first full stream was answered. */
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
    const { liveStreamBytesFirst, backfillBytesUnderWayMin, streamDurationMs } = this.#limits;
    if (rate === undefined) return liveStreamBytesFirst;
    return Math.max(backfillBytesUnderWayMin, (rate * streamDurationMs) / 1000);
  }

  /** A stream is opened while backfill has `aheadBytes` under way. */
  mark(nowMs: number, aheadBytes: number): PipeMark {
    const arrivedAtMs = aheadBytes === 0 ? nowMs : this.#arrivedAtMs;
    return { openedMs: nowMs, aheadBytes, arrivedBytes: this.#arrivedBytes, arrivedAtMs };
  }

  /** A stream's bytes have arrived. `isFull`: it carried what it might, so the pipe alone decided how long that took. */
  arrived(mark: PipeMark, bytes: number, nowMs: number, isFull: boolean): void {
    this.#arrivedBytes += bytes;
    this.#arrivedAtMs = nowMs;
    if (bytes === 0) return;
    const rate = (this.#arrivedBytes - mark.arrivedBytes) / Math.max(1, nowMs - mark.arrivedAtMs);
    if (isFull) this.#rates = [...this.#rates.slice(1 - samplesMax), rate];
    const sample = { bytes: mark.aheadBytes + bytes, ms: nowMs - mark.openedMs };
    this.#samples = [...this.#samples.slice(1 - samplesMax), sample];
    if (mark.arrivedBytes >= this.#triedAtBytes) this.#adjust();
  }

  #adjust(): void {
    const { backfillBytesUnderWayMin, backfillBytesUnderWayMax, backfillQueueMs } = this.#limits;
    const baseMs = this.#roundTripMs ?? 0;
    const msPerByte = slopeOf(this.#samples);
    const latest = this.#samples[this.#samples.length - 1];
    const more = 2 * this.#underWayMax;
    let bytes: number;
    if (msPerByte !== undefined) bytes = (baseMs + backfillQueueMs) / msPerByte;
    // Nothing tells whether the store is slow or the link: less is tried where a live item may wait too long already.
    else bytes = latest.ms > baseMs + 2 * backfillQueueMs ? latest.bytes / 2 : more;
    bytes = Math.min(bytes, more, backfillBytesUnderWayMax);
    if (bytes > this.#underWayMax || msPerByte === undefined) this.#triedAtBytes = this.#arrivedBytes;
    this.#underWayMax = Math.round(Math.max(backfillBytesUnderWayMin, bytes));
  }
}

/** Milliseconds a byte, by least squares, at least 1e-9; undefined when all samples are of about as many bytes. */
function slopeOf(samples: readonly Sample[]): number | undefined {
  let [bytes, ms, least, most] = [0, 0, Number.POSITIVE_INFINITY, 0];
  for (const sample of samples) {
    bytes += sample.bytes / samples.length;
    ms += sample.ms / samples.length;
    least = Math.min(least, sample.bytes);
    most = Math.max(most, sample.bytes);
  }
  if (most < least * spreadMin) return undefined;
  let [together, alone] = [0, 0];
  for (const sample of samples) {
    together += (sample.bytes - bytes) * (sample.ms - ms);
    alone += (sample.bytes - bytes) ** 2;
  }
  return Math.max(1e-9, together / alone);
}
