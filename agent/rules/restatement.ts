import type { RuleCell } from './rule-cell.js';

/** What was sent so long before a link was lost has come to the collector, or to one that has no room for anything. */
const UNDER_WAY_US = 120_000_000;

/** A collector that was put back, or had no room for long, hears of everything that fires; so often at the most, for the flash. */
const SAY_ALL_EVERY_US = 600_000_000;

/**
 * Which incidents are to be said once more to a collector: those that go on, and of whose beginning the item may come as
 * history, or not at all. Times are of the monotonic clock, in microseconds.
 */
export class Restatement {
  #saidAllAtUs = Number.NEGATIVE_INFINITY;

  /** A collector is there now. */
  due(cells: Iterable<RuleCell>, nowUs: number): RuleCell[] {
    const saysAll = nowUs - this.#saidAllAtUs >= SAY_ALL_EVERY_US;
    if (saysAll) this.#saidAllAtUs = nowUs;
    return [...cells].filter(({ last, truth, saidAtUs }) => {
      const goesOn = last?.to === 'firing' && truth.phase === 'firing';
      return goesOn && (saysAll || saidAtUs === Number.NEGATIVE_INFINITY);
    });
  }

  /** It is there no more: what was said just before may lie in the buffer still. */
  lost(cells: Iterable<RuleCell>, nowUs: number): void {
    for (const cell of cells) {
      if (nowUs - cell.saidAtUs < UNDER_WAY_US) cell.saidAtUs = Number.NEGATIVE_INFINITY;
    }
  }
}
