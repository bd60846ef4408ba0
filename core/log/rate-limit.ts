/** How often one thing may be said. */
export interface RateLimitPolicy {
  /** So many reports of a key pass in a window. */
  perWindow: number;
  windowMs: number;
  /** Keys remembered at a time; more of them share one entry, so that whoever invents keys cannot fill the memory. */
  keysMax: number;
}

/** `report` says whether to log now; `suppressed` is how many reports of this key were held back before it. */
export type Admission = { report: true; suppressed: number } | { report: false };

export interface SuppressedSummary {
  key: string;
  suppressed: number;
}

/** Five lines show a pattern, a minute between them fills no disk, and a component has few dozen things to say. */
export const defaultRateLimit: RateLimitPolicy = { perWindow: 5, windowMs: 60_000, keysMax: 256 };

const overflowKey = '(other)';

interface Window {
  startMs: number;
  passed: number;
  suppressed: number;
}

/** Passes the first reports of a key in each window and counts the rest. Times are a parameter, in monotonic milliseconds. */
export class RateLimit {
  readonly #policy: RateLimitPolicy;
  readonly #windows = new Map<string, Window>();

  constructor(policy: RateLimitPolicy = defaultRateLimit) {
    this.#policy = policy;
  }

  /** Asks to report `key` at `nowMs`. */
  admit(key: string, nowMs: number): Admission {
    const known = this.#windows.has(key) || this.#windows.size < this.#policy.keysMax;
    const entry = known ? key : overflowKey;
    let window = this.#windows.get(entry);
    if (window === undefined) {
      window = { startMs: nowMs, passed: 0, suppressed: 0 };
      this.#windows.set(entry, window);
    }
    let suppressed = 0;
    if (nowMs - window.startMs >= this.#policy.windowMs) {
      suppressed = window.suppressed;
      window.startMs = nowMs;
      window.passed = 0;
      window.suppressed = 0;
    }
    if (window.passed >= this.#policy.perWindow) {
      window.suppressed += 1;
      return { report: false };
    }
    window.passed += 1;
    return { report: true, suppressed };
  }

  /** Ends windows that are over and returns what they held back, for one summary line each. Call it now and then. */
  summaries(nowMs: number): SuppressedSummary[] {
    const summaries: SuppressedSummary[] = [];
    for (const [key, window] of this.#windows) {
      if (nowMs - window.startMs < this.#policy.windowMs) continue;
      if (window.suppressed > 0) summaries.push({ key, suppressed: window.suppressed });
      this.#windows.delete(key);
    }
    return summaries;
  }
}
