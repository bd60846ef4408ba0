import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { expect } from 'vitest';
import type { RowSink, SeriesSpec } from '../sensors/source.js';
import type { BatchBounds } from './batch-bounds.js';
import { Batcher, type TakenBatch } from './batcher.js';
import { seriesKey } from './series-key.js';
import type { SeriesAnswer } from './series-registry.js';

export type Value = number | boolean | string;

/** A reading as the test sees it on either side. */
export interface Seen {
  id: number;
  segment: number;
  timeUs: number;
  value: Value;
}

/** The surroundings of a batcher, set by hand. */
class TestHost {
  clockUs = 0;
  segment = 7;
  wakes = 0;
  readonly drops: Record<string, number> = {};
  readonly answers = new Map<string, SeriesAnswer>();
  /** What a series without an answer gets. */
  unknown: 'pending' | 'number' = 'number';
  #lastId = 0;

  readonly registry = {
    idOf: (spec: SeriesSpec): SeriesAnswer => {
      const known = this.answers.get(seriesKey(spec));
      if (known !== undefined && known !== 'pending') return known;
      if (this.unknown === 'pending') return 'pending';
      this.#lastId += 1;
      this.answers.set(seriesKey(spec), this.#lastId);
      return this.#lastId;
    },
  };

  nowUs() {
    return this.clockUs;
  }
  segmentId() {
    return this.segment;
  }
  drop(reason: string, readings: number) {
    this.drops[reason] = (this.drops[reason] ?? 0) + readings;
  }
  wake() {
    this.wakes += 1;
  }
}

export function spec(name: string, type: SeriesSpec['type'] = 'double'): SeriesSpec {
  return { name, unit: '', labels: {}, type };
}

export function batcher(bounds: Partial<BatchBounds> = {}) {
  const host = new TestHost();
  const all = { readings: 1000, bytes: 16_384, ageUs: 1_000_000, pendingReadings: 100_000, ...bounds };
  return { host, batcher: new Batcher(host, all) };
}

export function takeAll(from: Batcher): TakenBatch[] {
  const taken: TakenBatch[] = [];
  for (let next = from.take(); next !== undefined; next = from.take()) taken.push(next);
  return taken;
}

/** The readings of a batch, after a round trip through its bytes. */
export function readings({ batch }: TakenBatch): Seen[] {
  const decoded = decodeBatch(encodeBatch(batch), new DecodeArena());
  const seen: Seen[] = [];
  for (const group of decoded.groups) {
    for (let row = 0; row < group.rows; row += 1) {
      for (const column of group.columns) {
        const { presence } = column;
        if (presence !== null && ((presence[row >>> 3] >>> (row & 7)) & 1) === 0) continue;
        let at = row;
        if (presence !== null) {
          at = 0;
          for (let before = 0; before < row; before += 1) at += (presence[before >>> 3] >>> (before & 7)) & 1;
        }
        const raw = column.values[at];
        const value = column.type === 'double' ? raw : column.type === 'boolean' ? raw === 1 : column.strings[raw];
        const timeUs = Number(decoded.baseTime) + group.times[row];
        seen.push({ id: column.seriesId, segment: decoded.segment, timeUs, value });
      }
    }
  }
  expect(seen.length).toBe(decoded.readings);
  return seen;
}

export function put(sink: RowSink, index: number, value: Value): void {
  if (typeof value === 'number') sink.number(index, value);
  else if (typeof value === 'boolean') sink.boolean(index, value);
  else sink.string(index, value);
}

export function row(sink: RowSink, timeUs: number, values: readonly (readonly [number, Value])[]): void {
  sink.begin(timeUs);
  for (const [index, value] of values) put(sink, index, value);
  sink.end();
}
