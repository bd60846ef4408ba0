import { JoinedSeries, seriesKey } from './joined-series.js';
import { type Durations, Outcome, Signal } from './lifecycle.js';
import { LivingInstance } from './living-instance.js';
import type { MergedReadings } from './merged-readings.js';
import type { Phase } from './phase.js';
import type { RuleInstance, Transition } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';
import type { SavedSource, Source } from './source.js';

/** One condition of `all` or `any`, made ready. */
export interface MemberRule {
  /** Of a member that equals a text, which is shown to its sources as 1 where it is the one, else as 0. */
  text: string | undefined;
  newSource(saved?: SavedSource): Source;
}

/** `all` or `any`, made ready: one for all devices. */
export interface DeviceRule {
  version: string;
  durations: Durations;
  combination: 'all' | 'any';
  members: readonly MemberRule[];
}

/** A rule looks at each of them whenever one has a reading, and they are saved in one row. */
export const JOINED_MAX = 64;

/**
 * `all` or `any` over the series of one device. Each instant is judged once all of its readings are known, which a later
 * reading or the passing of time tells: so it does not matter in which order readings of one instant come.
 */
export class DeviceInstance extends LivingInstance implements RuleInstance {
  readonly #rule: DeviceRule;
  /** What the rule was joined to: `slots[i]` are the members that take readings of series i. */
  readonly #slots: JoinedSeries[][] = [];
  readonly #joined: JoinedSeries[] = [];
  readonly #slotOf = new Map<string, number>();
  readonly #device: SeriesIdentity;
  /** The instant whose readings were taken and not judged yet; NaN for none. */
  #openUs = Number.NaN;
  /** What began the incident is what it is known by. */
  #about: SeriesIdentity;
  /** What said most at the instant that is judged. */
  #speaker: JoinedSeries | undefined;
  #speakerGridUs = 0;
  /** Readings are missing after this event time, and no instant after it was judged; Infinity where none are. */
  #interruptedUs = Infinity;

  constructor(rule: DeviceRule, device: SeriesIdentity, saved?: SavedInstance) {
    super(rule.durations, saved);
    this.#rule = rule;
    this.#device = device;
    this.#about = device;
    if (saved === undefined) return;
    if (saved.about !== undefined) this.#about = { ...device, ...saved.about };
    for (const one of saved.joined ?? []) {
      const member = rule.members[one.member];
      if (member === undefined) continue;
      const series = { ...device, ...one.series };
      this.#add(new JoinedSeries(one.member, series, member.newSource(one.source), one.texts ?? false, one));
    }
    this.#interruptedUs = saved.interruptedUs ?? Infinity;
    if (saved.openUs === undefined) return;
    this.#openUs = saved.openUs;
    this.#speaker = this.#joined[saved.speaker ?? -1];
  }

  get dueUs(): number {
    let atUs = Number.isNaN(this.#openUs) ? Infinity : this.#openUs;
    for (const { dueUs } of this.#joined) if (dueUs < atUs) atUs = dueUs;
    return atUs;
  }

  /** The number of a series that these members select; -1 where there is none, or no room for more. */
  join(series: SeriesIdentity, members: readonly number[], texts: boolean): number {
    const known = this.#slotOf.get(seriesKey(series));
    if (known !== undefined) return known;
    if (members.length === 0 || this.#joined.length + members.length > JOINED_MAX) return -1;
    for (const member of members) {
      this.#add(new JoinedSeries(member, series, this.#rule.members[member]!.newSource(), texts));
    }
    this.revision += 1;
    return this.#slots.length - 1;
  }

  advance(): void {
    throw new RangeError('a rule over a device takes merged readings');
  }

  advanceMerged(readings: MergedReadings, out: Transition[]): void {
    const { count, timesUs, values, member, origins, originOf, rows, texts } = readings;
    if (count === 0) return;
    for (let index = 0; index < count; index += 1) {
      const value = values[index]!;
      const joined = this.#slots[member[index]!];
      if (joined === undefined || Number.isNaN(value)) continue;
      const timeUs = timesUs[index]!;
      this.#judgeBefore(timeUs, out);
      this.#openUs = timeUs;
      const origin = origins[originOf[index]!]!;
      for (const one of joined) {
        const { text } = this.#rule.members[one.member]!;
        const compared = text === undefined ? value : Number(texts?.[value] === text);
        const spoke = one.take(timeUs, compared, this.life.phase === 'firing', origin, rows[index]!);
        if (spoke) this.#heed(one, 0);
      }
    }
    this.lastUs = Math.max(this.lastUs, timesUs[count - 1]!);
    this.revision += 1;
  }

  passTime(untilUs: number, out: Transition[]): void {
    // At or before is before the next microsecond: event times are whole.
    this.#judgeBefore(untilUs + 1, out);
  }

  heard(): void {}

  interrupt(): void {
    const newestUs = this.#joined.reduce((newest, { readUs }) => Math.max(newest, readUs), Number.NEGATIVE_INFINITY);
    if (newestUs === Number.NEGATIVE_INFINITY) return;
    this.#interruptedUs = Math.min(this.#interruptedUs, newestUs);
    for (const one of this.#joined) one.interruptedUs = Math.min(one.interruptedUs, newestUs);
    this.revision += 1;
  }

  resume(fromUs: number, out: Transition[]): void {
    const from = this.#joined.reduce((earliest, one) => Math.min(earliest, one.interruptedUs), Infinity);
    if (from === Infinity) return;
    this.#judgeBefore(from + 1, out);
    for (const one of this.#joined) one.resume(fromUs);
    this.#interruptedUs = Infinity;
    this.life.broken = true;
    this.revision += 1;
  }

  statusAt(nowUs: number): Phase | 'unknown' {
    return this.#combined(nowUs) === Signal.UNKNOWN ? 'unknown' : this.life.phase;
  }

  save(): SavedInstance {
    const { name, unit, labels } = this.#about;
    const speaker = this.#speaker === undefined ? -1 : this.#joined.indexOf(this.#speaker);
    return {
      ...this.life.save(this.#rule.version, this.lastUs),
      ...(this.life.phase !== 'inactive' && { about: { name, unit, labels: { ...labels } } }),
      joined: this.#joined.map((one) => one.save()),
      ...(Number.isFinite(this.#interruptedUs) && { interruptedUs: this.#interruptedUs }),
      ...(!Number.isNaN(this.#openUs) && { openUs: this.#openUs, ...(speaker >= 0 && { speaker }) }),
    };
  }

  #add(joined: JoinedSeries): void {
    this.#joined.push(joined);
    const slot = this.#slotOf.get(joined.key);
    if (slot !== undefined) this.#slots[slot]!.push(joined);
    else this.#slotOf.set(joined.key, this.#slots.push([joined]) - 1);
  }

  /** Judges the open instant and everything that was due, in order of time, as far as it lies before `limitUs`. */
  #judgeBefore(limitUs: number, out: Transition[]): void {
    for (;;) {
      const atUs = this.dueUs;
      if (atUs >= limitUs) return;
      this.#judgeAt(atUs, out);
      this.#skip(atUs, limitUs);
    }
  }

  /** Leaves out what the same signals over and over cannot change. */
  #skip(atUs: number, limitUs: number): void {
    let lastUs = atUs;
    for (const one of this.#joined) {
      if (one.dueUs === Infinity ? one.known(atUs) && one.source.staleAfterUs < Infinity : one.source.steadyUs === 0)
        return;
    }
    if (this.life.repeatable(this.#combined(atUs), 1) !== Infinity) return;
    for (const { source, dueUs } of this.#joined) {
      if (dueUs === Infinity || dueUs >= limitUs) continue;
      const times = Math.ceil((limitUs - dueUs) / source.steadyUs);
      source.skip(times);
      lastUs = Math.max(lastUs, source.dueUs - source.steadyUs);
    }
    if (lastUs > atUs) this.life.signalUs = lastUs;
  }

  #judgeAt(atUs: number, out: Transition[]): void {
    if (atUs > this.#interruptedUs) {
      this.#interruptedUs = Infinity;
      this.life.broken = true;
    }
    for (const one of this.#joined) {
      if (one.dueUs === atUs && one.pass()) this.#heed(one, atUs);
    }
    const signal = this.#combined(atUs);
    const life = this.life;
    if (life.begins(signal)) this.#begin(atUs);
    const outcome = life.step(signal, atUs);
    if (outcome !== Outcome.NOTHING) {
      this.tell(outcome, atUs, (this.#speaker ?? this.#any())?.value ?? Number.NaN, this.#about, out);
    }
    this.#openUs = Number.NaN;
    this.#speaker = undefined;
    this.revision += 1;
  }

  #begin(atUs: number): void {
    const speaker = this.#speaker ?? this.#any();
    const { epoch, sequence, row } = speaker ?? { epoch: '', sequence: 0, row: 0 };
    const gridUs = this.#speaker === undefined ? atUs : this.#speakerGridUs;
    this.#about = speaker?.series ?? this.#device;
    this.life.begin({ epoch, sequence, row, gridUs }, atUs);
  }

  /** Of those that spoke at an instant the satisfied are heeded first, and of equals the first in the order of series. */
  #heed(one: JoinedSeries, gridUs: number): void {
    const other = this.#speaker;
    if (other === undefined || other === one || precedes(one, other)) {
      this.#speaker = one;
      this.#speakerGridUs = gridUs;
    }
  }

  /** Where nothing spoke and something is judged all the same: what is satisfied. */
  #any(): JoinedSeries | undefined {
    let first: JoinedSeries | undefined;
    for (const one of this.#joined) if (first === undefined || precedes(one, first)) first = one;
    return first;
  }

  #combined(atUs: number): Signal {
    const { members, combination } = this.#rule;
    const decisive = combination === 'any';
    let unknown = false;
    for (let member = 0; member < members.length; member += 1) {
      const value = this.#member(member, atUs);
      if (value === decisive) return decisive ? Signal.SATISFIED : Signal.CLEAR;
      if (value === undefined) unknown = true;
    }
    if (unknown) return Signal.UNKNOWN;
    return decisive ? Signal.CLEAR : Signal.SATISFIED;
  }

  /** Whether one of the member's series is satisfied; undefined where none is and nobody can say of one, or of any. */
  #member(member: number, atUs: number): boolean | undefined {
    let value: boolean | undefined;
    let unknown = false;
    for (const one of this.#joined) {
      // A series that never said anything is not there yet, whenever it was joined.
      if (one.member !== member || !one.spoke) continue;
      if (!one.known(atUs)) unknown = true;
      else if (one.satisfied) return true;
      else value = false;
    }
    return unknown ? undefined : value;
  }
}

function precedes(a: JoinedSeries, b: JoinedSeries): boolean {
  if (a.satisfied !== b.satisfied) return a.satisfied;
  return a.key === b.key ? a.member < b.member : a.key < b.key;
}
