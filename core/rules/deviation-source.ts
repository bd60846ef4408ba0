import { Signal } from './lifecycle.js';
import { packDoubles, unpackDoubles } from './packed-doubles.js';
import type { SavedSource, Source } from './source.js';

/** An adaptive band, one for all series of a rule. */
export interface Deviation {
  /** Deviations from the mean at which it is satisfied, and at which it is clear. */
  sensitivity: number;
  clear: number;
  direction: 'both' | 'above' | 'below';
  /** Time constant of what it has learnt. */
  memoryUs: number;
  /** 0 for none. */
  seasonUs: number;
  /** Time that it learns before it says anything. */
  warmUpUs: number;
  /** A deviation less than this is taken as this. */
  least: number;
  /** Time that a state lasts before it is taken as normal. */
  relearnUs: number;
  gapUs: number;
}

const DAY_US = 86_400e6;

/** Parts of a season that have a mean each: hours of a day, and of anything longer as many as a week has hours, 4 kB a series. */
const SLOTS_OF_DAY = 24;
const SLOTS_OF_WEEK = 168;

/** A reading further off than this many deviations teaches as much as one that is just as far: spikes do not widen the band. */
const CLAMP = 2;

/**
 * A band about an exponentially weighted mean, as wide as the readings use to deviate. The weights follow event time and
 * not the number of readings. It does not learn from what fires, until that has lasted long enough to be normal.
 */
export class DeviationSource implements Source {
  readonly dueUs = Infinity;
  readonly gridUs = 0;
  readonly steadyUs = 0;
  readonly staleAfterUs: number;
  value = Number.NaN;

  readonly #deviation: Deviation;
  readonly #slots: number;
  readonly #slotUs: number;
  readonly #means: Float64Array;
  /** Time that each slot has learnt. */
  readonly #learnt: Float64Array;
  #learntUs = 0;
  #variance = 0;
  /** Time that it has fired and not learnt. */
  #withheldUs = 0;
  #lastUs = Number.NEGATIVE_INFINITY;

  constructor(deviation: Deviation, saved?: SavedSource) {
    this.#deviation = deviation;
    this.staleAfterUs = deviation.gapUs;
    const { seasonUs } = deviation;
    this.#slots = seasonUs === 0 ? 1 : seasonUs <= DAY_US ? SLOTS_OF_DAY : SLOTS_OF_WEEK;
    this.#slotUs = seasonUs / this.#slots;
    this.#means = new Float64Array(this.#slots).fill(Number.NaN);
    this.#learnt = new Float64Array(this.#slots);
    const state = unpackDoubles(saved?.state);
    if (state.length !== 4 + 2 * this.#slots) return;
    [this.#lastUs, this.#learntUs, this.#variance, this.#withheldUs] = state as unknown as [
      number,
      number,
      number,
      number,
    ];
    this.#means.set(state.subarray(4, 4 + this.#slots));
    this.#learnt.set(state.subarray(4 + this.#slots));
  }

  take(timeUs: number, value: number, firing: boolean): Signal {
    // One infinity would be the mean for ever.
    if (!Number.isFinite(value)) return Signal.NONE;
    const { gapUs, relearnUs } = this.#deviation;
    const sinceUs = timeUs - this.#lastUs;
    const learnUs = sinceUs <= gapUs ? sinceUs : 0;
    this.#lastUs = timeUs;
    const slot = this.#slotUs === 0 ? 0 : Math.floor(modulo(timeUs, this.#deviation.seasonUs) / this.#slotUs);
    const mean = this.#means[slot]!;
    if (Number.isNaN(mean)) {
      this.#means[slot] = value;
      return Signal.NONE;
    }
    const off = value - mean;
    const warm = this.#isWarm(slot);
    const signal = warm ? this.#judge(off) : Signal.NONE;
    this.#withheldUs = firing ? this.#withheldUs + learnUs : 0;
    if (!firing || this.#withheldUs > relearnUs) this.#learn(slot, off, learnUs, warm);
    if (signal !== Signal.NONE) this.value = value;
    return signal;
  }

  pass(): Signal {
    return Signal.NONE;
  }

  skip(): void {}

  /** What was learnt holds; the missing time teaches nothing. */
  restart(): void {
    this.#lastUs = Number.NEGATIVE_INFINITY;
  }

  resume(): void {
    this.restart();
  }

  save(): SavedSource {
    const common = [this.#lastUs, this.#learntUs, this.#variance, this.#withheldUs];
    return { state: packDoubles([...common, ...this.#means, ...this.#learnt]) };
  }

  #isWarm(slot: number): boolean {
    const { warmUpUs } = this.#deviation;
    return this.#learntUs >= warmUpUs && this.#learnt[slot]! * this.#slots * 2 >= warmUpUs;
  }

  #judge(off: number): Signal {
    const { sensitivity, clear, direction, least } = this.#deviation;
    if (off === 0) return Signal.CLEAR;
    const deviation = Math.max(Math.sqrt(this.#variance), least);
    // Readings that never changed say nothing about how far is far.
    if (deviation === 0) return Signal.NONE;
    const away = off / deviation;
    const far = direction === 'both' ? Math.abs(away) : direction === 'above' ? away : -away;
    if (far > sensitivity) return Signal.SATISFIED;
    return far <= clear ? Signal.CLEAR : Signal.HELD;
  }

  #learn(slot: number, off: number, learnUs: number, warm: boolean): void {
    if (learnUs === 0) return;
    const { memoryUs } = this.#deviation;
    const learnt = this.#learnt[slot]! + learnUs;
    this.#learnt[slot] = learnt;
    this.#learntUs += learnUs;
    const most = warm && this.#variance > 0 ? CLAMP * Math.sqrt(this.#variance) : Infinity;
    const taught = Math.max(-most, Math.min(most, off));
    this.#means[slot] = this.#means[slot]! + share(learnUs, Math.min(memoryUs / this.#slots, learnt)) * taught;
    const part = share(learnUs, Math.min(memoryUs, this.#learntUs));
    this.#variance = (1 - part) * (this.#variance + part * taught * taught);
  }
}

/** How much of a mean is replaced in a time. */
function share(timeUs: number, memoryUs: number): number {
  return -Math.expm1(-timeUs / memoryUs);
}

function modulo(timeUs: number, byUs: number): number {
  const rest = timeUs % byUs;
  return rest < 0 ? rest + byUs : rest;
}
