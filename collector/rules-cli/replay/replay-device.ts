import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { ForwardReadings } from '@tributary/core/rules/forward';
import { incidentId } from '@tributary/core/rules/incident-id';
import type { MergedReadings } from '@tributary/core/rules/merged-readings';
import type { Origin } from '@tributary/core/rules/origin';
import type { RuleInstance, Transition } from '@tributary/core/rules/rule-instance';
import type { Attributes } from '@tributary/core/rules/selection';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { ColumnType } from '@tributary/proto/batch/batch';
import type { Stretch } from './event-order.js';
import type { SettledReadings } from './pending-series.js';

/** What would have fired. Times are event times in microseconds since the Unix epoch. */
export interface ReplayedIncident {
  id: string;
  rule: CompiledRule;
  series: SeriesIdentity;
  startedUs: number;
  firedUs: number;
  /** Undefined while it fires. */
  endedUs: number | undefined;
  /** The value that made it fire. */
  value: number;
}

export interface ReplayedSeries {
  seriesId: number;
  identity: SeriesIdentity;
  type: ColumnType;
}

interface SeriesWatch {
  instances: Watched[];
  /** Rules over the device that it is a member of, with its number there. */
  memberships: { watched: Watched; member: number }[];
}

interface Watched {
  rule: CompiledRule;
  instance: RuleInstance;
  open: ReplayedIncident | undefined;
}

/** One device under all rules: readings go in, in order of event time; incidents come out as they end. */
export class ReplayedDevice {
  readonly #watches = new Map<number, SeriesWatch>();
  readonly #watched: Watched[] = [];
  readonly #emit: (incident: ReplayedIncident) => void;
  readonly #transitions: Transition[] = [];

  constructor(
    rules: readonly CompiledRule[],
    series: readonly ReplayedSeries[],
    attributes: Attributes,
    emit: (incident: ReplayedIncident) => void,
  ) {
    this.#emit = emit;
    for (const rule of rules) {
      const selected = series.filter(({ identity, type }) => rule.takes(type) && rule.selects(identity, attributes));
      if (selected.length === 0) continue;
      if (rule.scope === 'series') {
        for (const one of selected) this.#watchOf(one.seriesId).instances.push(this.#watch(rule, one.identity));
        continue;
      }
      const watched = this.#watch(rule, { ...selected[0]!.identity, name: '', unit: '', labels: {} });
      for (const { seriesId, identity, type } of selected) {
        const member = rule.join(watched.instance, identity, attributes, type);
        if (member >= 0) this.#watchOf(seriesId).memberships.push({ watched, member });
      }
    }
  }

  /** Series that some rule watches. */
  get seriesIds(): ReadonlySet<number> {
    return new Set(this.#watches.keys());
  }

  /**
   * The next part of the history. That time passes is told by readings alone, and at the end: what lies behind the newest
   * reading of a series may be missing, which the next part says.
   */
  take({ series, breaks }: Stretch): void {
    const taken = new Map([...series].map(([seriesId]) => [seriesId, 0]));
    for (const { atUs, leftUs } of breaks) {
      this.#advance(series, taken, atUs);
      if (Number.isFinite(leftUs)) this.#passTime(leftUs);
      for (const watched of this.#watched) {
        watched.instance.interrupt();
        watched.instance.resume(atUs, this.#transitions);
        this.#follow(watched);
      }
    }
    this.#advance(series, taken, Number.POSITIVE_INFINITY);
  }

  /** The end: time has passed up to here, and what fires still does. */
  end(untilUs: number): void {
    if (Number.isFinite(untilUs)) this.#passTime(untilUs);
    for (const { open } of this.#watched) if (open !== undefined) this.#emit(open);
  }

  #watchOf(seriesId: number): SeriesWatch {
    let watch = this.#watches.get(seriesId);
    if (watch === undefined) {
      watch = { instances: [], memberships: [] };
      this.#watches.set(seriesId, watch);
    }
    return watch;
  }

  #watch(rule: CompiledRule, identity: SeriesIdentity): Watched {
    const watched: Watched = { rule, instance: rule.newInstance(identity), open: undefined };
    this.#watched.push(watched);
    return watched;
  }

  /** Moves on to what is earlier than `beforeUs`; `taken` is how far each series has come. */
  #advance(series: Stretch['series'], taken: Map<number, number>, beforeUs: number): void {
    const parts = new Map<Watched, Part[]>();
    for (const [seriesId, readings] of series) {
      const watch = this.#watches.get(seriesId);
      if (watch === undefined) continue;
      const from = taken.get(seriesId)!;
      const end = firstAt(readings, from, beforeUs);
      taken.set(seriesId, end);
      if (end === from) continue;
      for (const watched of watch.instances) this.#advanceSeries(watched, readings, from, end);
      for (const { watched, member } of watch.memberships) {
        const part = { readings, from, end, member };
        const known = parts.get(watched);
        if (known === undefined) parts.set(watched, [part]);
        else known.push(part);
      }
    }
    for (const [watched, members] of parts) {
      watched.instance.advanceMerged(merge(members), this.#transitions);
      this.#follow(watched);
    }
  }

  /** Batch by batch: an onset is known by the batch that it stands in. */
  #advanceSeries(watched: Watched, readings: SettledReadings, from: number, end: number): void {
    const { timesUs, values, rows, sourceOf, sources } = readings;
    for (let begin = from; begin < end; ) {
      const at = sourceOf[begin]!;
      let next = begin + 1;
      while (next < end && sourceOf[next] === at) next += 1;
      const { origin, strings } = sources[at]!;
      const view: ForwardReadings = { from: begin, count: next, timesUs, values, rows, strings };
      watched.instance.advance(view, origin, this.#transitions);
      begin = next;
    }
    this.#follow(watched);
  }

  #passTime(untilUs: number): void {
    for (const watched of this.#watched) {
      if (!watched.rule.watchesTime) continue;
      watched.instance.passTime(untilUs, this.#transitions);
      this.#follow(watched);
    }
  }

  #follow(watched: Watched): void {
    for (const { to, series, onset, startedAtUs, atUs, value } of this.#transitions) {
      if (to === 'firing') {
        const id = Buffer.from(incidentId(watched.rule.name, series, onset)).toString('hex');
        const times = { startedUs: startedAtUs, firedUs: atUs, endedUs: undefined };
        watched.open = { id, rule: watched.rule, series, ...times, value };
      } else if (watched.open !== undefined) {
        this.#emit({ ...watched.open, endedUs: atUs });
        watched.open = undefined;
      }
    }
    this.#transitions.length = 0;
  }
}

interface Part {
  readings: SettledReadings;
  from: number;
  end: number;
  member: number;
}

function firstAt({ timesUs, count }: SettledReadings, from: number, timeUs: number): number {
  let low = from;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timesUs[middle]! < timeUs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Readings of several series in order of time. */
function merge(parts: readonly Part[]): MergedReadings {
  const count = parts.reduce((sum, { from, end }) => sum + end - from, 0);
  const unsorted = { times: new Float64Array(count), part: new Int32Array(count), index: new Int32Array(count) };
  let at = 0;
  for (const [part, { readings, from, end }] of parts.entries()) {
    for (let index = from; index < end; index += 1, at += 1) {
      unsorted.times[at] = readings.timesUs[index]!;
      unsorted.part[at] = part;
      unsorted.index[at] = index;
    }
  }
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  order.sort((a, b) => unsorted.times[a]! - unsorted.times[b]! || a - b);
  const origins: Origin[] = [];
  const texts: string[] = [];
  /** Of each origin, where its dictionary begins in `texts`. */
  const firstText: number[] = [];
  const firstOrigin = parts.map(({ readings }) => {
    const first = origins.length;
    for (const { origin, strings } of readings.sources) {
      origins.push(origin);
      firstText.push(texts.length);
      for (const text of strings ?? []) texts.push(text);
    }
    return first;
  });
  const merged = {
    count,
    timesUs: new Float64Array(count),
    values: new Float64Array(count),
    texts,
    member: new Int32Array(count),
    origins,
    originOf: new Int32Array(count),
    rows: new Int32Array(count),
  };
  for (let to = 0; to < count; to += 1) {
    const from = order[to]!;
    const part = parts[unsorted.part[from]!]!;
    const index = unsorted.index[from]!;
    const { timesUs, values, rows, sourceOf, sources } = part.readings;
    const source = sourceOf[index]!;
    const origin = firstOrigin[unsorted.part[from]!]! + source;
    merged.timesUs[to] = timesUs[index]!;
    merged.values[to] = values[index]! + (sources[source]!.strings === null ? 0 : firstText[origin]!);
    merged.member[to] = part.member;
    merged.originOf[to] = origin;
    merged.rows[to] = rows[index]!;
  }
  return merged;
}
