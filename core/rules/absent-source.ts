import { Signal } from './lifecycle.js';
import { packDoubles, unpackDoubles } from './packed-doubles.js';
import type { SavedSource, Source } from './source.js';

/** Satisfied when nothing has come for a time, clear with each reading. */
export class AbsentSource implements Source {
  readonly gridUs = 0;
  readonly steadyUs = 0;
  readonly staleAfterUs = Infinity;
  /** Of the newest reading: it is what is known of the series while nothing comes. */
  value = Number.NaN;
  dueUs = Infinity;

  readonly #forUs: number;

  constructor(forUs: number, saved?: SavedSource) {
    this.#forUs = forUs;
    if (typeof saved?.dueUs !== 'number') return;
    this.dueUs = saved.dueUs;
    this.value = unpackDoubles(saved.value)[0] ?? Number.NaN;
  }

  take(timeUs: number, value: number): Signal {
    this.value = value;
    this.dueUs = timeUs + this.#forUs;
    return Signal.CLEAR;
  }

  pass(): Signal {
    this.dueUs = Infinity;
    return Signal.SATISFIED;
  }

  skip(): void {}

  restart(): void {
    this.dueUs = Infinity;
  }

  /** Not while it is absent already: that lasts until something comes. */
  resume(fromUs: number): void {
    if (this.dueUs !== Infinity) this.dueUs = Math.max(this.dueUs, fromUs + this.#forUs);
  }

  save(): SavedSource {
    return Number.isFinite(this.dueUs) ? { dueUs: this.dueUs, value: packDoubles([this.value]) } : {};
  }
}
