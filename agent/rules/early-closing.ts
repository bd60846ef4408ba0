/** At once, after a quiet time: an incident and its end, of several rules. */
const CLOSINGS_MAX = 16;
/** A rule that flutters has a batch closed for it so often, and is judged when batches close by age in between. */
const CLOSING_EVERY_US = 10_000_000;

/**
 * How often a batch is closed early because a rule has something to say: each time costs the disk two small commits more, and
 * a sensor that flutters must not wear it out.
 */
export class EarlyClosing {
  #closings = CLOSINGS_MAX;
  #atUs = Number.NEGATIVE_INFINITY;

  /** Takes one, if there is one left. `nowUs` is monotonic. */
  take(nowUs: number): boolean {
    const earned = Math.floor((nowUs - this.#atUs) / CLOSING_EVERY_US);
    if (earned >= CLOSINGS_MAX) {
      this.#closings = CLOSINGS_MAX;
      this.#atUs = nowUs;
    } else if (earned > 0) {
      this.#closings = Math.min(CLOSINGS_MAX, this.#closings + earned);
      this.#atUs += earned * CLOSING_EVERY_US;
    }
    if (this.#closings === 0) return false;
    this.#closings--;
    return true;
  }
}
