import { decodeThinnedBatch } from '@tributary/agent/buffer/thinned-batch';
import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { RuleInstance, Transition } from '@tributary/core/rules/rule-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { ItemKind, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { SERIES } from './sim-producer.js';
import type { StoredItem } from './sim-store.js';

/** One stored reading. */
export interface StoredReading {
  series: number;
  timeUs: number;
  value: number;
  epoch: string;
  sequence: number;
  row: number;
  isLive: boolean;
}

/** Readings are missing before an event time; all had come up to another. */
interface Break {
  atUs: number;
  leftUs: number;
}

/** An incident that the stored readings show. Event times in microseconds. */
export interface TrueIncident {
  rule: string;
  series: string;
  startedAtUs: number;
  firedAtUs: number;
  resolvedAtUs: number | undefined;
}

interface Item {
  epoch: string;
  sequence: number;
  readingsBefore: number;
  readings: number;
  first: number;
  last: number;
  firstUs: number;
  lastUs: number;
  rows: StoredReading[];
}

/** What is stored of one device, as far as rules may see it. */
export interface DeviceReadings {
  readings: StoredReading[];
  breaks: Break[];
}

/** Up to when watermarks had said that time had passed, before readings went missing before this sequence of an epoch. */
export type Told = (epoch: string, first: number) => number;

/** Reads what is stored of one device the plainest way: everything at once, in order of event time. */
export function readDevice(stored: readonly StoredItem[], told: Told = () => Number.NEGATIVE_INFINITY): DeviceReadings {
  const items: Item[] = [];
  const here = new Set<string>();
  const empty = new Set<string>();
  const future = new Set<string>();
  for (const { epoch, item } of stored) {
    const key = `${epoch}/${item.sequence}`;
    const isThinned = item.kind === ItemKind.THINNED_BATCH;
    const isBatch = item.kind === ItemKind.BATCH;
    const isFuture = item.quality === TimeQuality.FUTURE;
    const thinned = isThinned ? decodeThinnedBatch(item.body) : undefined;
    if (isBatch && !isFuture) here.add(key);
    else empty.add(key);
    if (isFuture) future.add(key);
    let first = Number.POSITIVE_INFINITY;
    let last = 0;
    for (const entry of isFuture ? [] : (thinned?.replaced ?? [])) {
      const of = Buffer.from(entry.epoch).toString('hex');
      for (let sequence = entry.first; sequence <= entry.last; sequence++) here.add(`${of}/${sequence}`);
      if (of !== epoch) continue;
      first = Math.min(first, entry.first);
      last = Math.max(last, entry.last);
    }
    if (isFuture || (!isBatch && !isThinned)) continue;
    const { sequence, readings, firstUs, lastUs } = item;
    // What had been produced when a thinned item was made says nothing about the place at which it stands.
    const readingsBefore = last === 0 ? item.readingsBefore : Number.NaN;
    if (last === 0) first = last = sequence;
    const rows = rowsOf(epoch, item, thinned?.batch ?? item.body);
    items.push({
      epoch,
      sequence,
      readingsBefore,
      readings: isThinned ? Number.NaN : readings,
      first,
      last,
      firstUs,
      lastUs,
      rows,
    });
  }
  items.sort((a, b) => a.firstUs - b.firstUs || (a.epoch < b.epoch ? -1 : 1) || a.sequence - b.sequence);
  return { readings: inOrder(items), breaks: breaksOf(items, { here, empty, future }, told) };
}

function rowsOf(epoch: string, item: StoredItem['item'], body: Uint8Array): StoredReading[] {
  const { sequence, offsetUs, lane } = item;
  const { groups, baseTime } = decodeBatch(body, new DecodeArena());
  const rows: StoredReading[] = [];
  for (const { times, columns } of groups) {
    for (const { seriesId, count, values, presence } of columns) {
      let row = -1;
      for (let at = 0; at < count; at++) {
        row++;
        while (presence !== null && ((presence[row >> 3] >> (row & 7)) & 1) === 0) row++;
        const timeUs = Number(baseTime) + times[row] + offsetUs;
        rows.push({ series: seriesId, timeUs, value: values[at], epoch, sequence, row, isLive: lane === Lane.LIVE });
      }
    }
  }
  return rows;
}

/** Of readings of one series and instant the first in the order of epoch, sequence and row counts. */
function inOrder(items: readonly Item[]): StoredReading[] {
  const all = items.flatMap(({ rows }) => rows);
  all.sort(
    (a, b) =>
      a.timeUs - b.timeUs ||
      a.series - b.series ||
      (a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : 0) ||
      a.sequence - b.sequence ||
      a.row - b.row,
  );
  return all.filter((one, at) => at === 0 || all[at - 1].timeUs !== one.timeUs || all[at - 1].series !== one.series);
}

/** Keys of items, by what is known of them. */
interface Known {
  here: ReadonlySet<string>;
  empty: ReadonlySet<string>;
  future: ReadonlySet<string>;
}

function breaksOf(items: readonly Item[], { here, empty, future }: Known, told: Told): Break[] {
  const walks = new Map<string, { sequence: number; readingsEnd: number; lastUs: number }>();
  const breaks: Break[] = [];
  let latestUs = Number.NEGATIVE_INFINITY;
  for (const { epoch, first, last, readingsBefore, readings, firstUs, lastUs } of items) {
    const walk = walks.get(epoch) ?? { sequence: 0, readingsEnd: 0, lastUs: Number.NEGATIVE_INFINITY };
    walks.set(epoch, walk);
    let before = first - 1;
    let isCounted = true;
    for (; empty.has(`${epoch}/${before}`); before--) if (future.has(`${epoch}/${before}`)) isCounted = false;
    const countsDiffer = isCounted && before === walk.sequence && Number.isFinite(walk.readingsEnd - readingsBefore);
    const continues =
      (walk.sequence > 0 && walk.readingsEnd === readingsBefore) || (here.has(`${epoch}/${before}`) && !countsDiffer);
    if (!continues) {
      const leftUs = Number.isFinite(walk.lastUs) ? walk.lastUs : latestUs;
      breaks.push({ atUs: firstUs, leftUs: Math.min(Math.max(leftUs, told(epoch, first)), firstUs - 1) });
      if (leftUs >= firstUs) breaks.push({ atUs: leftUs + 1, leftUs });
    }
    if (last >= walk.sequence) {
      walk.sequence = last;
      walk.readingsEnd = readingsBefore + readings;
    }
    walk.lastUs = Math.max(walk.lastUs, lastUs);
    latestUs = Math.max(latestUs, lastUs);
  }
  return breaks.sort((a, b) => a.atUs - b.atUs);
}

/** What a rule finds in all readings of a device, one after another, and up to when it was shown any. */
export function trueIncidents(
  rule: CompiledRule,
  device: string,
  { readings, breaks }: DeviceReadings,
): { incidents: TrueIncident[]; series: string; untilUs: number }[] {
  const identity = (name: string): SeriesIdentity => ({ tenant: '', device, name, unit: '', labels: {} });
  const series = SERIES.map(({ name }, at) => ({ id: at + 1, identity: identity(name) }));
  const selected = series.filter((one) => rule.selects(one.identity, {}));
  if (rule.scope === 'device') {
    const instance = rule.newInstance(identity(''));
    const members = new Map(selected.map((one) => [one.id, rule.join(instance, one.identity, {}, 'double')]));
    const own = readings.filter((one) => members.has(one.series));
    const show = (one: StoredReading, out: Transition[]) => advanceMerged(instance, one, members.get(one.series)!, out);
    return [{ ...run(rule, instance, own, breaks, show), series: '' }];
  }
  return selected.map(({ id, identity: of }) => {
    const instance = rule.newInstance(of);
    const own = readings.filter((one) => one.series === id);
    const found = run(rule, instance, own, breaks, (one, out) => advance(instance, one, out));
    return { ...found, series: of.name };
  });
}

function run(
  rule: CompiledRule,
  instance: RuleInstance,
  readings: readonly StoredReading[],
  breaks: readonly Break[],
  show: (reading: StoredReading, out: Transition[]) => void,
): { incidents: TrueIncident[]; untilUs: number } {
  const out: Transition[] = [];
  let next = 0;
  const breakUpTo = (timeUs: number) => {
    while (next < breaks.length && breaks[next].atUs <= timeUs) {
      const { atUs, leftUs } = breaks[next++];
      if (Number.isFinite(leftUs)) instance.passTime(leftUs, out);
      instance.interrupt();
      instance.resume(atUs, out);
    }
  };
  for (const reading of readings) {
    breakUpTo(reading.timeUs);
    show(reading, out);
  }
  breakUpTo(Number.POSITIVE_INFINITY);
  const incidents: TrueIncident[] = [];
  for (const { to, startedAtUs, atUs, series } of out) {
    if (to === 'firing') {
      incidents.push({ rule: rule.name, series: series.name, startedAtUs, firedAtUs: atUs, resolvedAtUs: undefined });
    } else incidents[incidents.length - 1].resolvedAtUs = atUs;
  }
  return { incidents, untilUs: readings.at(-1)?.timeUs ?? Number.NEGATIVE_INFINITY };
}

function advance(instance: RuleInstance, { timeUs, value, row, epoch, sequence }: StoredReading, out: Transition[]) {
  const rows = Int32Array.of(row);
  const readings = { from: 0, count: 1, timesUs: Float64Array.of(timeUs), values: Float64Array.of(value), rows };
  instance.advance({ ...readings, strings: null }, { epoch, sequence }, out);
}

function advanceMerged(
  instance: RuleInstance,
  { timeUs, value, row, epoch, sequence }: StoredReading,
  member: number,
  out: Transition[],
) {
  const columns = { timesUs: Float64Array.of(timeUs), values: Float64Array.of(value), texts: null };
  const places = { member: Int32Array.of(member), originOf: Int32Array.of(0), rows: Int32Array.of(row) };
  instance.advanceMerged({ count: 1, ...columns, ...places, origins: [{ epoch, sequence }] }, out);
}
