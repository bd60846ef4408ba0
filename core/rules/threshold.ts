import type { Condition, Origin, RuleState, Transition } from './condition.js';
import type { ForwardReadings } from './forward.js';
import type { Rule } from './rule.js';

/**
 * A limit with hysteresis. Above: a value greater than the limit satisfies, and once firing a value at or under `clear`
 * clears; below is the mirror. NaN does neither. Readings that change nothing are passed in a loop that allocates nothing.
 */
export class Threshold implements Condition {
  readonly #above: boolean;
  readonly #limit: number;
  readonly #clear: number;
  readonly #forUs: number;
  readonly #keepFiringForUs: number;

  constructor(rule: Pick<Rule, 'above' | 'below' | 'clear' | 'for' | 'keep_firing_for'>) {
    const limit = rule.above ?? rule.below;
    if (limit === undefined) throw new RangeError('a threshold needs above or below');
    this.#above = rule.above !== undefined;
    this.#limit = limit;
    this.#clear = rule.clear ?? limit;
    this.#forUs = rule.for * 1000;
    this.#keepFiringForUs = rule.keep_firing_for * 1000;
  }

  evaluate(state: RuleState, readings: ForwardReadings, origin: Origin, out: Transition[]): void {
    let index = readings.from;
    while (index < readings.count) {
      if (state.phase === 'inactive') index = this.#whileInactive(state, readings, index, origin, out);
      else if (state.phase === 'pending') index = this.#whilePending(state, readings, index, out);
      else index = this.#whileFiring(state, readings, index, out);
    }
  }

  #whileInactive(state: RuleState, readings: ForwardReadings, from: number, origin: Origin, out: Transition[]): number {
    const { values, count, timesUs, rows } = readings;
    const index = this.#above
      ? firstAbove(values, from, count, this.#limit)
      : firstBelow(values, from, count, this.#limit);
    if (index === count) return index;
    state.phase = 'pending';
    state.sinceUs = timesUs[index]!;
    state.onset = { epoch: origin.epoch, sequence: origin.sequence, row: rows === null ? index : rows[index]! };
    if (this.#forUs === 0) fire(state, readings, index, out);
    return index + 1;
  }

  #whilePending(state: RuleState, readings: ForwardReadings, from: number, out: Transition[]): number {
    const { values, timesUs, count } = readings;
    for (let index = from; index < count; index += 1) {
      const value = values[index]!;
      if (this.#above ? value > this.#limit : value < this.#limit) {
        if (timesUs[index]! - state.sinceUs < this.#forUs) continue;
        fire(state, readings, index, out);
        return index + 1;
      }
      if (Number.isNaN(value)) continue;
      state.phase = 'inactive';
      state.onset = undefined;
      return index + 1;
    }
    return count;
  }

  #whileFiring(state: RuleState, readings: ForwardReadings, from: number, out: Transition[]): number {
    const { values, timesUs, count } = readings;
    let index = from;
    while (index < count) {
      if (Number.isNaN(state.clearSinceUs)) {
        index = this.#above
          ? firstAtMost(values, index, count, this.#clear)
          : firstAtLeast(values, index, count, this.#clear);
        if (index === count) return count;
        state.clearSinceUs = timesUs[index]!;
      }
      const value = values[index]!;
      if (this.#above ? value <= this.#clear : value >= this.#clear) {
        if (timesUs[index]! - state.clearSinceUs >= this.#keepFiringForUs) {
          resolve(state, readings, index, out);
          return index + 1;
        }
      } else if (!Number.isNaN(value)) {
        state.clearSinceUs = Number.NaN;
      }
      index += 1;
    }
    return count;
  }
}

function fire(state: RuleState, readings: ForwardReadings, index: number, out: Transition[]): void {
  state.phase = 'firing';
  state.clearSinceUs = Number.NaN;
  out.push(transition('firing', state, readings, index));
}

function resolve(state: RuleState, readings: ForwardReadings, index: number, out: Transition[]): void {
  out.push(transition('resolved', state, readings, index));
  state.phase = 'inactive';
  state.onset = undefined;
  state.clearSinceUs = Number.NaN;
}

function transition(to: Transition['to'], state: RuleState, readings: ForwardReadings, index: number): Transition {
  return {
    to,
    onset: state.onset!,
    startedAtUs: state.sinceUs,
    atUs: readings.timesUs[index]!,
    value: readings.values[index]!,
  };
}

// One plain loop for each comparison: nothing is called or allocated for a reading that changes nothing.

function firstAbove(values: Float64Array, from: number, count: number, limit: number): number {
  let index = from;
  while (index < count && !(values[index]! > limit)) index += 1;
  return index;
}

function firstBelow(values: Float64Array, from: number, count: number, limit: number): number {
  let index = from;
  while (index < count && !(values[index]! < limit)) index += 1;
  return index;
}

function firstAtMost(values: Float64Array, from: number, count: number, limit: number): number {
  let index = from;
  while (index < count && !(values[index]! <= limit)) index += 1;
  return index;
}

function firstAtLeast(values: Float64Array, from: number, count: number, limit: number): number {
  let index = from;
  while (index < count && !(values[index]! >= limit)) index += 1;
  return index;
}
