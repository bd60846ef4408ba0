import type { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch, Column, ColumnType, Group } from '@tributary/proto/batch/batch';
import { DEFAULT_BATCH_LIMITS } from '@tributary/proto/batch/batch-limits';

/** Readings that stay of several batches. */
export interface ThinnedReadings {
  batch: Batch;
  /** How many of them come from each of the batches. */
  kept: number[];
}

/** All readings of one series, in the order in which they came. */
interface SeriesReadings {
  type: ColumnType;
  count: number;
  times: Float64Array;
  values: Float64Array;
  /** Which batch each is of. */
  origins: Float64Array;
  isAscending: boolean;
  strings: string[];
  codes: Map<string, number>;
}

/**
 * Keeps, of each series and window of time, the first, last, smallest and largest reading (M4: drawn at the window's width
 * they give the same picture, Jugel et al., VLDB 2014). All are readings as they were taken, with their times; nothing is
 * averaged. A NaN is neither small nor large, so the first of a window stays as well. Of booleans and strings the first
 * and last stay, and each that differs from the one before it.
 *
 * The batches are of one segment and one unit of time; windows are aligned on the segment's own line. Answers undefined
 * where they cannot share a base time, or where a series changed its type. Memory is the arena's.
 */
export function thinBatches(
  batches: readonly Batch[],
  windowMs: number,
  arena: DecodeArena,
): ThinnedReadings | undefined {
  const { segment, unitExponent, baseTime } = batches[0];
  const all = collect(batches, baseTime, arena);
  if (all === undefined) return undefined;
  const window = Math.max(1, Math.round(windowMs * 10 ** (unitExponent - 3)));
  const phase = Number(BigInt.asIntN(64, baseTime) % BigInt(window));
  const kept = batches.map(() => 0);
  const bySeries = new Map<string, Group>();
  let readings = 0;
  for (const seriesId of [...all.keys()].sort((a, b) => a - b)) {
    const series = all.get(seriesId)!;
    const order = orderOf(series);
    const chosen = choose(series, order, window, phase);
    for (const at of chosen) kept[series.origins[at]]++;
    readings += chosen.length;
    const times = Float64Array.from(chosen, (at) => series.times[at]);
    const column: Column = {
      seriesId,
      type: series.type,
      presence: null,
      count: chosen.length,
      values: Float64Array.from(chosen, (at) => series.values[at]),
      strings: series.strings,
    };
    // Series that keep the same instants share one column of them.
    const key = Buffer.from(times.buffer).toString('latin1');
    const group = bySeries.get(key);
    if (group === undefined) bySeries.set(key, { rows: chosen.length, times, columns: [column] });
    else group.columns.push(column);
  }
  const groups = atMost([...bySeries.values()], DEFAULT_BATCH_LIMITS.maxGroups);
  return { batch: { segment, unitExponent, baseTime, groups, readings }, kept };
}

function collect(
  batches: readonly Batch[],
  baseTime: bigint,
  arena: DecodeArena,
): Map<number, SeriesReadings> | undefined {
  const counts = new Map<number, number>();
  for (const { groups } of batches) {
    for (const { columns } of groups) {
      for (const { seriesId, count } of columns) counts.set(seriesId, (counts.get(seriesId) ?? 0) + count);
    }
  }
  const all = new Map<number, SeriesReadings>();
  for (const [origin, batch] of batches.entries()) {
    const shift = Number(batch.baseTime - baseTime);
    for (const { rows, times, columns } of batch.groups) {
      for (const column of columns) {
        let series = all.get(column.seriesId);
        if (series === undefined) {
          series = emptySeries(column.type, counts.get(column.seriesId)!, arena);
          all.set(column.seriesId, series);
        }
        if (series.type !== column.type || !add(series, rows, times, column, shift, origin)) return undefined;
      }
    }
  }
  return all;
}

function emptySeries(type: ColumnType, room: number, arena: DecodeArena): SeriesReadings {
  const times = arena.block(room).doubles;
  const values = arena.block(room).doubles;
  const origins = arena.block(room).doubles;
  return { type, count: 0, times, values, origins, isAscending: true, strings: [], codes: new Map() };
}

/** False where a time would not be exact. */
function add(
  series: SeriesReadings,
  rows: number,
  times: Float64Array,
  column: Column,
  shift: number,
  origin: number,
): boolean {
  const { presence, values } = column;
  let index = 0;
  for (let row = 0; row < rows; row++) {
    if (presence !== null && ((presence[row >>> 3] >>> (row & 7)) & 1) === 0) continue;
    const time = times[row] + shift;
    if (!Number.isSafeInteger(time)) return false;
    const at = series.count++;
    if (at > 0 && time < series.times[at - 1]) series.isAscending = false;
    series.times[at] = time;
    series.values[at] = series.type === 'string' ? codeOf(series, column.strings[values[index]]) : values[index];
    series.origins[at] = origin;
    index++;
  }
  return true;
}

/** Each batch has a dictionary of its own. */
function codeOf({ strings, codes }: SeriesReadings, text: string): number {
  let code = codes.get(text);
  if (code === undefined) {
    code = strings.push(text) - 1;
    codes.set(text, code);
  }
  return code;
}

/** Readings in order of time, where they did not come so; the order of coming counts among equals. */
function orderOf({ count, times, isAscending }: SeriesReadings): Uint32Array | undefined {
  if (isAscending) return undefined;
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  return order.sort((a, b) => times[a] - times[b] || a - b);
}

/** Which readings stay, in order of time. */
function choose(series: SeriesReadings, order: Uint32Array | undefined, window: number, phase: number): number[] {
  const { type, count, times, values } = series;
  const isState = type !== 'double';
  const stays = new Uint8Array(count);
  let current = Number.NaN;
  let last = -1;
  let min = -1;
  let max = -1;
  let nan = -1;
  for (let i = 0; i < count; i++) {
    const at = order === undefined ? i : order[i];
    const value = values[at];
    const windowOf = Math.floor((times[at] + phase) / window);
    if (windowOf !== current) {
      // Writes past the end and before the beginning of a typed array do nothing.
      stays[last] = 1;
      stays[min] = 1;
      stays[max] = 1;
      stays[nan] = 1;
      stays[at] = 1;
      min = max = nan = -1;
      current = windowOf;
    }
    if (isState) {
      if (last >= 0 && value !== values[last]) stays[at] = 1;
    } else if (Number.isNaN(value)) {
      if (nan < 0) nan = at;
    } else {
      if (min < 0 || value < values[min]) min = at;
      if (max < 0 || value > values[max]) max = at;
    }
    last = at;
  }
  for (const at of [last, min, max, nan]) if (at >= 0) stays[at] = 1;
  const chosen: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = order === undefined ? i : order[i];
    if (stays[at] === 1) chosen.push(at);
  }
  return chosen;
}

/** Joins neighbours until there are no more groups than a batch may have. */
function atMost(groups: readonly Group[], max: number): Group[] {
  const size = Math.ceil(groups.length / max);
  if (size <= 1) return [...groups];
  const joined: Group[] = [];
  for (let from = 0; from < groups.length; from += size) joined.push(join(groups.slice(from, from + size)));
  return joined;
}

/** One column of all their instants; who has none at an instant leaves it out. */
function join(groups: readonly Group[]): Group {
  const next = groups.map(() => 0);
  const times: number[] = [];
  const rowsOf: number[][] = groups.map(() => []);
  for (;;) {
    let time = Number.POSITIVE_INFINITY;
    for (const [at, group] of groups.entries()) if (next[at] < group.rows) time = Math.min(time, group.times[next[at]]);
    if (time === Number.POSITIVE_INFINITY) break;
    for (const [at, group] of groups.entries()) {
      if (next[at] >= group.rows || group.times[next[at]] !== time) continue;
      rowsOf[at].push(times.length);
      next[at]++;
    }
    times.push(time);
  }
  const columns: Column[] = [];
  for (const [at, group] of groups.entries()) {
    const presence = new Uint8Array((times.length + 7) >>> 3);
    for (const row of rowsOf[at]) presence[row >>> 3] |= 1 << (row & 7);
    for (const column of group.columns) columns.push({ ...column, presence });
  }
  columns.sort((a, b) => a.seriesId - b.seriesId);
  return { rows: times.length, times: Float64Array.from(times), columns };
}
