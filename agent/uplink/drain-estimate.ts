/** What the buffer counts; see `BufferCounts`. */
export interface DrainCounts {
  epoch: Uint8Array;
  readingsWaiting: number;
  readingsProduced: number;
  readingsEvicted: number;
  readingsThinned: number;
}

/** Where the backlog is going. */
export interface DrainForecast {
  /**
   * `current`: no more waits than what half a minute brings. `unknown`: not watched for long enough. `draining`: more
   * is acknowledged than produced; `growing`: not more.
   */
  trend: 'current' | 'draining' | 'growing' | 'unknown';
  /** Acknowledged minus produced, readings a second; undefined while it is not known. */
  readingsPerSecond: number | undefined;
  /** Until nothing waits, in seconds; undefined unless it is draining. 0 when it is current. */
  etaSeconds: number | undefined;
}

interface Sample extends DrainCounts {
  atMs: number;
}

/** A minute is long enough to even out streams and pauses, and short enough to follow a link. */
const windowMs = 60_000;

/** One a second: 60 of them bound the memory. */
const sampleIntervalMs = 1000;

/** A rate over less says more about one answer than about the link. */
const spanMsMin = 5000;

/** What is produced in this is no backlog: streams stay open for some seconds, and their answers take some. */
const currentMs = 30_000;

/**
 * How fast a backlog shrinks, from what the buffer counts: what waits goes down by what is acknowledged, evicted and
 * thinned, and up by what is produced. Only what is acknowledged is progress.
 */
export class DrainEstimate {
  #samples: Sample[] = [];

  /** The counts at a monotonic time. */
  sample(counts: DrainCounts, nowMs: number): void {
    const last = this.#samples.at(-1);
    // Sequences and counters begin anew.
    if (last !== undefined && Buffer.compare(last.epoch, counts.epoch) !== 0) this.#samples = [];
    else if (last !== undefined && nowMs - last.atMs < sampleIntervalMs) return;
    const { epoch, readingsWaiting, readingsProduced, readingsEvicted, readingsThinned } = counts;
    this.#samples.push({ atMs: nowMs, epoch, readingsWaiting, readingsProduced, readingsEvicted, readingsThinned });
    // One from before the window stays, or nothing would be known of a minute without any.
    while (this.#samples.length > 2 && this.#samples[1].atMs <= nowMs - windowMs) this.#samples.shift();
  }

  /** What is to be expected, given the counts of now. */
  forecast(counts: DrainCounts, nowMs: number): DrainForecast {
    this.sample(counts, nowMs);
    if (counts.readingsWaiting === 0) return { trend: 'current', readingsPerSecond: undefined, etaSeconds: 0 };
    const first = this.#samples[0];
    const spanMs = nowMs - first.atMs;
    if (spanMs < spanMsMin) return { trend: 'unknown', readingsPerSecond: undefined, etaSeconds: undefined };
    const produced = counts.readingsProduced - first.readingsProduced;
    const given = counts.readingsEvicted - first.readingsEvicted + (counts.readingsThinned - first.readingsThinned);
    const drained = first.readingsWaiting - counts.readingsWaiting - given;
    const readingsPerSecond = (drained / spanMs) * 1000;
    if (counts.readingsWaiting <= (produced / spanMs) * currentMs) {
      return { trend: 'current', readingsPerSecond, etaSeconds: 0 };
    }
    if (drained <= 0) return { trend: 'growing', readingsPerSecond, etaSeconds: undefined };
    return { trend: 'draining', readingsPerSecond, etaSeconds: counts.readingsWaiting / readingsPerSecond };
  }
}
