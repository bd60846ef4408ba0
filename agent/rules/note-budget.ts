/** States that change without an incident are written down at most this often. */
const SAVE_EVERY_US = 60_000_000;
/** What a save costs beside its rows: pages of the table that it touches, and their way through the log. */
const SAVE_OVERHEAD_BYTES = 2048;
/** A device with few readings and many states saves so much at once at the most. */
const ALLOWANCE_BYTES_MAX = 128 * 1024;

/**
 * How many bytes of rule states may be written: what readings pay for, so that a state that changes with each reading wears
 * out no flash. What is not written yet is lost with a crash, and unknown afterwards.
 */
export class NoteBudget {
  readonly #bytesPerReading: number;
  #allowanceBytes = 0;
  #savedAtUs = Number.NEGATIVE_INFINITY;

  /** Flash that rules may cost for each reading, in bytes. */
  constructor(bytesPerReading: number) {
    this.#bytesPerReading = bytesPerReading;
  }

  earn(readings: number): void {
    this.#allowanceBytes = Math.min(ALLOWANCE_BYTES_MAX, this.#allowanceBytes + readings * this.#bytesPerReading);
  }

  /** Bytes that may be saved now; 0 for not yet. `nowUs` is monotonic. */
  dueBytes(nowUs: number): number {
    if (nowUs - this.#savedAtUs < SAVE_EVERY_US) return 0;
    return Math.max(0, this.#allowanceBytes - SAVE_OVERHEAD_BYTES);
  }

  spend(bytes: number, nowUs: number): void {
    this.#allowanceBytes -= bytes + SAVE_OVERHEAD_BYTES;
    this.#savedAtUs = nowUs;
  }
}
