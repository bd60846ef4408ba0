import { Signal } from './lifecycle.js';
import { packDoubles, unpackDoubles } from './packed-doubles.js';
import { MomentPanes, type Panes, type WindowFunction } from './panes.js';
import { QuantilePanes } from './quantile-panes.js';
import type { SavedSource, Source } from './source.js';

/** A sliding window, one for all series of a rule. */
export interface Window {
  function: WindowFunction;
  quantile: number;
  overUs: number;
  /** Divides `overUs`. */
  everyUs: number;
  gapUs: number;
  judge(value: number): Signal;
}

/**
 * An aggregate over the last `over`, judged at each multiple of `every` since the Unix epoch. It says nothing while the
 * window reaches back before the first reading or before missing data. For `count` and `sum` silence is no missing data but
 * what they measure: an empty window is 0.
 */
export class WindowSource implements Source {
  dueUs = Infinity;
  gridUs = 0;
  value = Number.NaN;
  readonly staleAfterUs: number;

  readonly #window: Window;
  readonly #panes: Panes;
  readonly #counting: boolean;
  /** The first reading since data was missing; NaN before it. */
  #coveredFromUs = Number.NaN;
  #lastUs = Number.NEGATIVE_INFINITY;

  constructor(window: Window, saved?: SavedSource) {
    this.#window = window;
    this.staleAfterUs = Math.max(window.gapUs, window.everyUs);
    this.#counting = window.function === 'count' || window.function === 'sum';
    const length = window.overUs / window.everyUs;
    this.#panes =
      window.function === 'quantile'
        ? new QuantilePanes(window.quantile, length)
        : new MomentPanes(window.function, length);
    if (saved === undefined) return;
    if (typeof saved.lastUs === 'number') this.#lastUs = saved.lastUs;
    if (typeof saved.coveredFromUs === 'number') this.#coveredFromUs = saved.coveredFromUs;
    if (typeof saved.dueUs !== 'number') return;
    this.dueUs = saved.dueUs;
    this.#panes.restore(unpackDoubles(saved.panes));
  }

  get steadyUs(): number {
    const { overUs, everyUs } = this.#window;
    const fromUs = this.dueUs - everyUs - overUs;
    return this.#counting && this.#lastUs <= fromUs && this.#coveredFromUs <= fromUs ? everyUs : 0;
  }

  take(timeUs: number, value: number): Signal {
    if (Number.isNaN(this.#coveredFromUs) || (!this.#counting && timeUs - this.#lastUs > this.#window.gapUs)) {
      this.#coveredFromUs = timeUs;
      this.#panes.clear();
      this.#open(timeUs);
    } else if (this.dueUs === Infinity) this.#open(timeUs);
    this.#lastUs = timeUs;
    this.#panes.add(value);
    return Signal.NONE;
  }

  pass(): Signal {
    const { overUs, everyUs, gapUs, judge } = this.#window;
    const atUs = this.dueUs;
    const covered = this.#coveredFromUs <= atUs - overUs && (this.#counting || atUs - this.#lastUs <= gapUs);
    const value = covered ? this.#panes.combine() : Number.NaN;
    this.#panes.turn();
    this.dueUs = atUs + everyUs;
    // The next windows are empty, which only counts and sums have to say something about.
    if (!this.#counting && this.#lastUs <= this.dueUs - overUs) this.dueUs = Infinity;
    if (Number.isNaN(value)) return Signal.NONE;
    this.value = value;
    this.gridUs = atUs;
    return judge(value);
  }

  /** Its windows are empty, so there is nothing to turn. */
  skip(times: number): void {
    this.dueUs += times * this.#window.everyUs;
    this.gridUs = this.dueUs - this.#window.everyUs;
  }

  restart(): void {
    this.dueUs = Infinity;
    this.#coveredFromUs = Number.NaN;
  }

  resume(fromUs: number): void {
    this.restart();
    // Silence is what counts and sums measure, and it is silent from here on.
    if (!this.#counting || this.#lastUs === Number.NEGATIVE_INFINITY) return;
    this.#coveredFromUs = fromUs;
    this.#panes.clear();
    this.#open(fromUs);
  }

  save(): SavedSource {
    return {
      ...(Number.isFinite(this.#lastUs) && { lastUs: this.#lastUs }),
      ...(!Number.isNaN(this.#coveredFromUs) && { coveredFromUs: this.#coveredFromUs }),
      ...(Number.isFinite(this.dueUs) && { dueUs: this.dueUs, panes: packDoubles(this.#panes.save()) }),
    };
  }

  #open(timeUs: number): void {
    const { everyUs } = this.#window;
    const beyond = timeUs % everyUs;
    this.dueUs = beyond === 0 ? timeUs : timeUs - beyond + (beyond > 0 ? everyUs : 0);
  }
}
