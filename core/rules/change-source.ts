import { Signal } from './lifecycle.js';
import { packDoubles, unpackDoubles } from './packed-doubles.js';
import type { SavedSource, Source } from './source.js';

/** How a change is measured, one for all series of a rule. */
export interface Change {
  overUs: number;
  /** Microseconds that a rate is told for; undefined for the plain difference. */
  perUs: number | undefined;
  gapUs: number;
  judge(value: number): Signal;
}

/** Slots of the time that a change looks back: a change is measured over 1/120 more than asked at most, for 2 kB of state. */
const SLOTS = 120;
/** Readings that are kept: one a slot of which the oldest and the newest may be cut, and the one to compare with. */
const KEPT_MAX = SLOTS + 3;

/**
 * Each reading against the newest kept one at or before `over` ago: the difference, or the rate. Of each slot of time the
 * first reading is kept. Where data is missing nothing of before is compared with anything after.
 */
export class ChangeSource implements Source {
  readonly dueUs = Infinity;
  readonly gridUs = 0;
  readonly steadyUs = 0;
  readonly staleAfterUs: number;
  value = Number.NaN;

  readonly #change: Change;
  readonly #slotUs: number;
  readonly #times = new Float64Array(KEPT_MAX);
  readonly #values = new Float64Array(KEPT_MAX);
  #head = 0;
  #count = 0;
  #slot = Number.NEGATIVE_INFINITY;
  #lastUs = Number.NEGATIVE_INFINITY;

  constructor(change: Change, saved?: SavedSource) {
    this.#change = change;
    this.staleAfterUs = change.gapUs;
    this.#slotUs = Math.ceil(change.overUs / SLOTS);
    if (saved === undefined) return;
    const times = unpackDoubles(saved.times);
    const values = unpackDoubles(saved.values);
    this.#count = Math.min(times.length, values.length, KEPT_MAX);
    for (let index = 0; index < this.#count; index += 1) {
      this.#times[index] = times[index]!;
      this.#values[index] = values[index]!;
    }
    if (this.#count > 0) this.#slot = this.#slotOf(times[this.#count - 1]!);
    if (typeof saved.lastUs === 'number') this.#lastUs = saved.lastUs;
  }

  take(timeUs: number, value: number): Signal {
    const { overUs, perUs, gapUs, judge } = this.#change;
    if (timeUs - this.#lastUs > gapUs) this.restart();
    this.#lastUs = timeUs;
    const baseUs = timeUs - overUs;
    while (this.#count > 1 && this.#times[(this.#head + 1) % KEPT_MAX]! <= baseUs) {
      this.#head = (this.#head + 1) % KEPT_MAX;
      this.#count -= 1;
    }
    let change = Number.NaN;
    if (this.#count > 0) {
      const fromUs = this.#times[this.#head]!;
      if (fromUs <= baseUs) {
        change = value - this.#values[this.#head]!;
        if (perUs !== undefined) change *= perUs / (timeUs - fromUs);
      }
    }
    this.#keep(timeUs, value);
    if (Number.isNaN(change)) return Signal.NONE;
    this.value = change;
    return judge(change);
  }

  pass(): Signal {
    return Signal.NONE;
  }

  skip(): void {}

  restart(): void {
    this.#count = 0;
    this.#slot = Number.NEGATIVE_INFINITY;
  }

  resume(): void {
    this.restart();
  }

  save(): SavedSource {
    const order = Array.from({ length: this.#count }, (_, index) => (this.#head + index) % KEPT_MAX);
    if (order.length === 0) return {};
    return {
      times: packDoubles(order.map((at) => this.#times[at]!)),
      values: packDoubles(order.map((at) => this.#values[at]!)),
      lastUs: this.#lastUs,
    };
  }

  #slotOf(timeUs: number): number {
    return Math.floor(timeUs / this.#slotUs);
  }

  #keep(timeUs: number, value: number): void {
    const slot = this.#slotOf(timeUs);
    if (slot === this.#slot) return;
    this.#slot = slot;
    const at = (this.#head + this.#count) % KEPT_MAX;
    this.#times[at] = timeUs;
    this.#values[at] = value;
    this.#count += 1;
  }
}
