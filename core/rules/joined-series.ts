import { Signal } from './lifecycle.js';
import type { Origin } from './origin.js';
import { packDoubles, unpackDoubles } from './packed-doubles.js';
import type { SavedJoined } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';
import type { Source } from './source.js';

/** One member of a rule over a device, for one of the series that it selects. */
export class JoinedSeries {
  readonly member: number;
  readonly series: SeriesIdentity;
  readonly source: Source;
  /** The order of series of a device that does not depend on which came first. */
  readonly key: string;
  /** The series is one of texts, whose values are indexes that differ from batch to batch. */
  readonly texts: boolean;
  /** What the newest signal said, where it said anything: a value that is held changes nothing. */
  satisfied = false;
  /** Event time of the newest signal. */
  signalUs = Number.NEGATIVE_INFINITY;
  /** Readings are missing between this event time and the next one; Infinity where none are. */
  interruptedUs = Infinity;
  /** What the newest signal was given for. */
  value = Number.NaN;
  /** Data was missing, and nothing was said since. */
  broken = false;
  /** The newest reading that is no NaN: event time and place. */
  readUs = Number.NEGATIVE_INFINITY;
  epoch = '';
  sequence = 0;
  row = 0;

  constructor(member: number, series: SeriesIdentity, source: Source, texts: boolean, saved?: SavedJoined) {
    this.member = member;
    this.series = series;
    this.source = source;
    this.texts = texts;
    this.key = seriesKey(series);
    if (saved === undefined) return;
    this.satisfied = saved.satisfied ?? false;
    this.interruptedUs = saved.interruptedUs ?? Infinity;
    this.value = unpackDoubles(saved.value)[0] ?? Number.NaN;
    this.broken = saved.broken ?? false;
    this.signalUs = saved.signalUs ?? Number.NEGATIVE_INFINITY;
    if (saved.newest === undefined) return;
    this.readUs = saved.newest.timeUs;
    this.epoch = saved.newest.epoch;
    this.sequence = saved.newest.sequence;
    this.row = saved.newest.row;
  }

  /** When it will say something by itself; Infinity where missing readings could change what. */
  get dueUs(): number {
    const { dueUs } = this.source;
    return dueUs > this.interruptedUs ? Infinity : dueUs;
  }

  /** Takes a reading that is no NaN; answers whether it said anything. */
  take(timeUs: number, value: number, firing: boolean, origin: Origin, row: number): boolean {
    if (this.interruptedUs !== Infinity) {
      this.interruptedUs = Infinity;
      this.broken = true;
      this.source.restart();
    }
    this.readUs = timeUs;
    this.epoch = origin.epoch;
    this.sequence = origin.sequence;
    this.row = row;
    return this.#say(this.source.take(timeUs, value, firing), timeUs);
  }

  /** From this event time on no readings are missing again. */
  resume(fromUs: number): void {
    if (this.interruptedUs === Infinity) return;
    this.interruptedUs = Infinity;
    this.broken = true;
    this.source.resume(Math.max(fromUs, this.readUs));
  }

  pass(): boolean {
    const { dueUs } = this.source;
    return this.#say(this.source.pass(), dueUs);
  }

  /** Whether it ever said anything. */
  get spoke(): boolean {
    return this.signalUs !== Number.NEGATIVE_INFINITY;
  }

  /** Whether what it said last tells what is at this event time. */
  known(timeUs: number): boolean {
    return !this.broken && timeUs <= this.interruptedUs && timeUs - this.signalUs <= this.source.staleAfterUs;
  }

  save(): SavedJoined {
    const { member, texts, satisfied, interruptedUs, broken, value, signalUs, readUs, epoch, sequence, row } = this;
    const { name, unit, labels } = this.series;
    return {
      member,
      series: { name, unit, labels: { ...labels } },
      ...(texts && { texts }),
      ...(satisfied && { satisfied }),
      ...(Number.isFinite(interruptedUs) && { interruptedUs }),
      ...(broken && { broken }),
      ...(Number.isFinite(signalUs) && { signalUs, value: packDoubles([value]) }),
      ...(Number.isFinite(readUs) && { newest: { timeUs: readUs, epoch, sequence, row } }),
      source: this.source.save(),
    };
  }

  #say(signal: Signal, timeUs: number): boolean {
    if (signal === Signal.NONE || signal === Signal.UNKNOWN) return false;
    if (signal !== Signal.HELD) this.satisfied = signal === Signal.SATISFIED;
    this.signalUs = timeUs;
    this.broken = false;
    if (!this.texts) this.value = this.source.value;
    return true;
  }
}

/** A text that is equal for equal series of a device, whatever order their labels stand in. */
export function seriesKey({ name, unit, labels }: Pick<SeriesIdentity, 'name' | 'unit' | 'labels'>): string {
  const sorted = Object.keys(labels).sort();
  return JSON.stringify([name, unit, ...sorted.flatMap((key) => [key, labels[key]])]);
}
