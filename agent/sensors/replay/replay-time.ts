/** A second, where a table of a single row does not say how far apart its rows are. */
const INTERVAL_US_DEFAULT = 1_000_000;

/** Moves the times of a table: when a row is due, and which time it bears. All in microseconds. */
export class ReplayTime {
  readonly #speed: number;
  readonly #rebase: boolean;
  #fileStartUs = 0;
  #startUs = 0;
  #shiftUs = 0;
  #started = false;
  #rows = 0;
  #earliestUs = 0;
  #latestUs = 0;
  /** The time that the last row bears. */
  timeUs = 0;
  /** When the last row is due, on the clock that `nowUs` is of. */
  dueUs = 0;

  /** With `rebase` a row bears the time at which it is due; otherwise its own, moved on by a whole table each pass. */
  constructor(speed: number, rebase: boolean) {
    this.#speed = speed;
    this.#rebase = rebase;
  }

  /** Takes the time of the next row; the first one is due at once. */
  row(fileUs: number, nowUs: number): void {
    if (!this.#started) {
      this.#started = true;
      this.#fileStartUs = fileUs;
      this.#startUs = nowUs;
    }
    if (this.#rows === 0) {
      this.#earliestUs = fileUs;
      this.#latestUs = fileUs;
    }
    this.#rows += 1;
    this.#earliestUs = Math.min(this.#earliestUs, fileUs);
    this.#latestUs = Math.max(this.#latestUs, fileUs);
    const ownUs = fileUs + this.#shiftUs;
    this.dueUs = this.#startUs + Math.round((ownUs - this.#fileStartUs) / this.#speed);
    this.timeUs = this.#rebase ? this.dueUs : ownUs;
  }

  /**
   * The table has ended and will begin again: its times go on an average interval after the latest. False when it had no
   * row at all, and so would begin again for ever.
   */
  endPass(): boolean {
    if (this.#rows === 0) return false;
    const lengthUs = this.#latestUs - this.#earliestUs;
    const intervalUs = this.#rows > 1 ? Math.max(1, Math.round(lengthUs / (this.#rows - 1))) : INTERVAL_US_DEFAULT;
    this.#shiftUs += lengthUs + intervalUs;
    this.#rows = 0;
    return true;
  }
}
