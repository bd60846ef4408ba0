import type { ForwardReadings } from './forward.js';
import { type Durations, Outcome, Signal } from './lifecycle.js';
import { LivingInstance } from './living-instance.js';
import type { Origin } from './origin.js';
import type { Phase } from './phase.js';
import type { RuleInstance, Transition } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';
import type { SavedSource, Source } from './source.js';

/** A rule over series that judges more than single readings, made ready: one for all of its instances. */
export interface SourceRule {
  version: string;
  durations: Durations;
  /** It takes texts too, as what is there and has no value. */
  texts: boolean;
  newSource(saved?: SavedSource): Source;
}

/** One rule for one series whose condition is a source: a change, a window, absence or a deviation. */
export class SeriesInstance extends LivingInstance implements RuleInstance {
  readonly #rule: SourceRule;
  readonly #series: SeriesIdentity;
  readonly #source: Source;
  /** Readings are missing after this event time, up to the next reading that is no NaN; Infinity where none are. */
  #interruptedUs = Infinity;
  /** The newest reading that is no NaN: event time and place. */
  #readUs = Number.NEGATIVE_INFINITY;
  #epoch = '';
  #sequence = 0;
  #row = 0;

  constructor(rule: SourceRule, series: SeriesIdentity, saved?: SavedInstance) {
    super(rule.durations, saved);
    this.#rule = rule;
    this.#series = series;
    this.#source = rule.newSource(saved?.source);
    if (saved === undefined) return;
    this.#interruptedUs = saved.interruptedUs ?? Infinity;
    if (saved.newest === undefined) return;
    this.#readUs = saved.newest.timeUs;
    this.#epoch = saved.newest.epoch;
    this.#sequence = saved.newest.sequence;
    this.#row = saved.newest.row;
  }

  get dueUs(): number {
    const { dueUs } = this.#source;
    return dueUs > this.#interruptedUs ? Infinity : dueUs;
  }

  advance(readings: ForwardReadings, origin: Origin, out: Transition[]): void {
    const { from, count, timesUs, values, rows, strings } = readings;
    if (from === count || (strings !== null && !this.#rule.texts)) return;
    const source = this.#source;
    for (let index = from; index < count; index += 1) {
      const value = values[index]!;
      if (Number.isNaN(value)) continue;
      const timeUs = timesUs[index]!;
      if (source.dueUs < timeUs) this.#passBefore(timeUs, out);
      if (this.#interruptedUs !== Infinity) this.#resume();
      const signal = source.take(timeUs, strings === null ? value : Number.NaN, this.life.phase === 'firing');
      this.#readUs = timeUs;
      this.#row = rows === null ? index : rows[index]!;
      this.#epoch = origin.epoch;
      this.#sequence = origin.sequence;
      if (signal !== Signal.NONE) this.#step(signal, timeUs, timeUs, out);
    }
    this.lastUs = timesUs[count - 1]!;
    this.revision += 1;
  }

  advanceMerged(): void {
    throw new RangeError('a rule over a series takes no readings of others');
  }

  passTime(untilUs: number, out: Transition[]): void {
    // At or before is before the next microsecond: event times are whole.
    if (this.#source.dueUs <= untilUs) this.#passBefore(untilUs + 1, out);
  }

  heard(): void {}

  interrupt(): void {
    if (this.#interruptedUs !== Infinity) return;
    this.#interruptedUs = this.#readUs;
    this.revision += 1;
  }

  resume(fromUs: number, out: Transition[]): void {
    if (this.#interruptedUs === Infinity) return;
    if (this.#source.dueUs <= this.#interruptedUs) this.#passBefore(this.#interruptedUs + 1, out);
    this.#interruptedUs = Infinity;
    this.life.broken = true;
    this.#source.resume(Math.max(fromUs, this.#readUs));
    this.revision += 1;
  }

  statusAt(nowUs: number): Phase | 'unknown' {
    const { signalUs, broken, phase } = this.life;
    // What is due and was not passed is not known: the readings may be on their way.
    if (this.#interruptedUs !== Infinity || broken || this.#source.dueUs <= nowUs - this.#rule.durations.gapUs)
      return 'unknown';
    return nowUs - signalUs > this.#source.staleAfterUs ? 'unknown' : phase;
  }

  save(): SavedInstance {
    return {
      ...this.life.save(this.#rule.version, this.lastUs),
      ...(Number.isFinite(this.#interruptedUs) && { interruptedUs: this.#interruptedUs }),
      ...(Number.isFinite(this.#readUs) && {
        newest: { timeUs: this.#readUs, epoch: this.#epoch, sequence: this.#sequence, row: this.#row },
      }),
      source: this.#source.save(),
    };
  }

  /** The first reading after missing ones. */
  #resume(): void {
    this.#interruptedUs = Infinity;
    this.life.broken = true;
    this.#source.restart();
  }

  /** Everything that was due before `limitUs`; nothing of it that missing readings could change. */
  #passBefore(limitUs: number, out: Transition[]): void {
    const source = this.#source;
    while (source.dueUs < limitUs && source.dueUs <= this.#interruptedUs) {
      const dueUs = source.dueUs;
      const signal = source.pass();
      this.revision += 1;
      if (signal === Signal.NONE) continue;
      this.#step(signal, dueUs, source.gridUs === 0 ? this.#readUs : source.gridUs, out);
      if (source.steadyUs > 0) this.#skip(signal, limitUs);
    }
  }

  /** Leaves out what the same signal over and over cannot change. */
  #skip(signal: Signal, limitUs: number): void {
    const { steadyUs, dueUs } = this.#source;
    const times = Math.min(Math.ceil((limitUs - dueUs) / steadyUs), this.life.repeatable(signal, steadyUs));
    if (times <= 0) return;
    this.#source.skip(times);
    this.life.repeat(times, steadyUs);
  }

  #step(signal: Signal, atUs: number, sinceUs: number, out: Transition[]): void {
    const life = this.life;
    const source = this.#source;
    if (life.begins(signal)) {
      const gridUs = source.gridUs;
      life.begin({ epoch: this.#epoch, sequence: this.#sequence, row: this.#row, gridUs }, sinceUs);
    }
    const outcome = life.step(signal, atUs);
    if (outcome !== Outcome.NOTHING) this.tell(outcome, atUs, source.value, this.#series, out);
  }
}
