import { type Band, bandOf, type Comparison } from './band.js';
import type { ForwardReadings } from './forward.js';
import { type Durations, Signal } from './lifecycle.js';
import { LivingInstance } from './living-instance.js';
import type { Origin } from './origin.js';
import type { Phase } from './phase.js';
import type { RuleInstance, Transition } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';

/** A rule that compares readings as they are, made ready: one for all of its instances. */
export interface ThresholdRule {
  version: string;
  durations: Durations;
  /** Undefined: readings that equal `target`, or, of a column of texts, `text`. */
  band: Band | undefined;
  target: number;
  text: string | undefined;
}

export function thresholdRule(comparison: Comparison, version: string, durations: Durations): ThresholdRule {
  const { equals } = comparison;
  return {
    version,
    durations,
    band: bandOf(comparison),
    target: typeof equals === 'string' ? Number.NaN : Number(equals),
    text: typeof equals === 'string' ? equals : undefined,
  };
}

/**
 * A limit with hysteresis for one series. Readings that change nothing are passed in a loop that calls and allocates
 * nothing; while pending or clearing each reading costs one addition more.
 */
export class ThresholdInstance extends LivingInstance implements RuleInstance {
  /** Readings alone are judged. */
  readonly dueUs = Infinity;

  readonly #rule: ThresholdRule;
  readonly #series: SeriesIdentity;
  /** What equals, in the column at hand. */
  #target = Number.NaN;

  constructor(rule: ThresholdRule, series: SeriesIdentity, saved?: SavedInstance) {
    super(rule.durations, saved);
    this.#rule = rule;
    this.#series = series;
    this.#target = rule.target;
  }

  advance(readings: ForwardReadings, origin: Origin, out: Transition[]): void {
    const { from, count, values, timesUs, strings } = readings;
    if (from === count) return;
    const { text } = this.#rule;
    if ((strings !== null) !== (text !== undefined)) return;
    if (strings !== null) this.#target = strings.indexOf(text!);
    const life = this.life;
    const { phase, onset, broken, clearing } = life;
    let index = from;
    while (index < count) {
      if (life.phase === 'inactive') index = this.#whileInactive(readings, index, origin, out);
      else if (life.phase === 'pending' || life.clearing) index = this.#stepwise(readings, index, out);
      else index = this.#whileFiring(readings, index, out);
    }
    this.lastUs = timesUs[count - 1]!;
    let newest = count - 1;
    while (newest >= from && Number.isNaN(values[newest]!)) newest -= 1;
    if (newest >= from) {
      life.signalUs = timesUs[newest]!;
      life.broken = false;
    }
    // A rule at rest depends on nothing that it has seen.
    const counts = life.phase === 'pending' || life.clearing;
    if (counts || clearing || life.phase !== phase || life.onset !== onset || life.broken !== broken)
      this.revision += 1;
  }

  advanceMerged(): void {
    throw new RangeError('a rule over a series takes no readings of others');
  }

  passTime(): void {}

  heard(): void {}

  interrupt(): void {
    if (this.life.broken) return;
    this.life.broken = true;
    this.revision += 1;
  }

  /** Silence says nothing here. */
  resume(): void {}

  statusAt(nowUs: number): Phase | 'unknown' {
    return this.life.statusAt(nowUs);
  }

  save(): SavedInstance {
    return this.life.save(this.#rule.version, this.lastUs);
  }

  #whileInactive(readings: ForwardReadings, from: number, origin: Origin, out: Transition[]): number {
    const { values, count, timesUs, rows } = readings;
    const { band } = this.#rule;
    const index =
      band === undefined
        ? firstEqual(values, from, count, this.#target)
        : firstBeyond(values, from, count, band.low, band.high);
    if (index === count) return index;
    const row = rows === null ? index : rows[index]!;
    const timeUs = timesUs[index]!;
    this.life.begin({ epoch: origin.epoch, sequence: origin.sequence, row, gridUs: 0 }, timeUs);
    this.#step(Signal.SATISFIED, readings, index, out);
    return index + 1;
  }

  #whileFiring(readings: ForwardReadings, from: number, out: Transition[]): number {
    const { values, count } = readings;
    const { band } = this.#rule;
    const index =
      band === undefined
        ? firstUnequal(values, from, count, this.#target)
        : firstWithin(values, from, count, band.clearLow, band.clearHigh);
    if (index === count) return index;
    this.#step(Signal.CLEAR, readings, index, out);
    return index + 1;
  }

  /** Pending or clearing: the time between readings counts. */
  #stepwise(readings: ForwardReadings, from: number, out: Transition[]): number {
    const { values, count } = readings;
    const life = this.life;
    for (let index = from; index < count; index += 1) {
      const signal = this.#signal(values[index]!);
      if (signal === Signal.NONE) continue;
      this.#step(signal, readings, index, out);
      if (life.phase !== 'pending' && !life.clearing) return index + 1;
    }
    return count;
  }

  #signal(value: number): Signal {
    const { band } = this.#rule;
    if (Number.isNaN(value)) return Signal.NONE;
    if (band === undefined) return value === this.#target ? Signal.SATISFIED : Signal.CLEAR;
    if (value > band.high || value < band.low) return Signal.SATISFIED;
    return value <= band.clearHigh && value >= band.clearLow ? Signal.CLEAR : Signal.HELD;
  }

  #step(signal: Signal, readings: ForwardReadings, index: number, out: Transition[]): void {
    const atUs = readings.timesUs[index]!;
    // Which number a text has differs from batch to batch.
    const value = this.#rule.text === undefined ? readings.values[index]! : Number.NaN;
    this.tell(this.life.step(signal, atUs), atUs, value, this.#series, out);
  }
}

// One plain loop for each comparison: nothing is called or allocated for a reading that changes nothing.

function firstBeyond(values: Float64Array, from: number, count: number, low: number, high: number): number {
  let index = from;
  while (index < count && !(values[index]! > high || values[index]! < low)) index += 1;
  return index;
}

function firstWithin(values: Float64Array, from: number, count: number, low: number, high: number): number {
  let index = from;
  while (index < count && !(values[index]! >= low && values[index]! <= high)) index += 1;
  return index;
}

function firstEqual(values: Float64Array, from: number, count: number, target: number): number {
  let index = from;
  while (index < count && values[index]! !== target) index += 1;
  return index;
}

function firstUnequal(values: Float64Array, from: number, count: number, target: number): number {
  let index = from;
  while (index < count && (values[index]! === target || Number.isNaN(values[index]!))) index += 1;
  return index;
}
