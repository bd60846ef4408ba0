export interface DerivedLimits {
  /** Derived data waits at most this long: what a dashboard may lag, and what a restart has to replay. */
  flushIntervalMs: number;
  /** Minutes that are open before they are saved early. A row takes 104 B, and saving 50,000 about a second. */
  rollupRowsMax: number;
  /** Alerts that wait for the store; about 1 kB each. */
  alertsMax: number;
  /** Bytes of stored items that one step of a replay decodes: at most some 150,000 readings at 2 B. */
  replayBytes: number;
  /** The same of one step of a walk through history, beside which devices are served: some 10 ms. */
  historyBytes: number;
  /**
   * How long nothing may come of a hole before its device's history is judged as it stands. A device that sends history
   * sends something each few seconds; one that was cut off again has a hole of its own when it is back.
   */
  holeQuietMs: number;
  /**
   * How long a hole is waited for in all, though something of it comes: backfill over a slow link takes days, and what is
   * there should be known before.
   */
  holeWaitMs: number;
  /** What came out of order without leaving a hole is judged when nothing more of it has come for so long. */
  disorderQuietMs: number;
  /** Of the time, at the most, that one device's history is judged in: one whose readings always come out of order costs no more. */
  historyShare: number;
}

export const DEFAULT_DERIVED_LIMITS: DerivedLimits = {
  flushIntervalMs: 5000,
  rollupRowsMax: 50_000,
  alertsMax: 10_000,
  replayBytes: 256 * 1024,
  historyBytes: 64 * 1024,
  holeQuietMs: 10 * 60_000,
  holeWaitMs: 60 * 60_000,
  disorderQuietMs: 2000,
  historyShare: 0.1,
};
