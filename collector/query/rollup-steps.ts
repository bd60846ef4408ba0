import type { QueryRollupsResponse, Rollup, Series } from '@tributary/proto/gen/tributary/v1/query';
import { MINUTE_SECONDS, QUARTER_SECONDS } from '../rollups/rollup-buffer.js';
import { emptyGain, RollupRows } from '../rollups/rollup-rows.js';
import type { RollupColumns, Store } from '../store/store.js';

/** Buckets of one message: 100 kB. */
const PAGE_BUCKETS = 1000;

export interface RollupsQuery {
  deviceId: number;
  series: Series;
  /** Half open, microseconds since the Unix epoch; buckets that begin in it. */
  fromUs: number;
  untilUs: number;
  /** A multiple of 60. */
  stepSeconds: number;
}

/** Rollups of one series, composed of the largest stored step that divides the one asked for. */
export async function* queryRollups(
  store: Pick<Store, 'readRollups'>,
  query: RollupsQuery,
): AsyncGenerator<QueryRollupsResponse> {
  const { deviceId, series, untilUs, stepSeconds } = query;
  const stored = stepSeconds % QUARTER_SECONDS === 0 ? QUARTER_SECONDS : MINUTE_SECONDS;
  const composer = new Composer(deviceId, series.id, stepSeconds);
  let { fromUs } = query;
  for (;;) {
    const rows = await store.readRollups(deviceId, series.id, stored, fromUs, untilUs);
    if (rows.length === 0) break;
    composer.add(rows);
    yield* pages(series, composer.takeComplete());
    fromUs = (rows.start[rows.length - 1]! + stored) * 1e6;
  }
  yield* pages(series, composer.takeAll());
}

function* pages(series: Series, rollups: readonly Rollup[]): Generator<QueryRollupsResponse> {
  for (let at = 0; at < rollups.length; at += PAGE_BUCKETS) {
    yield { series, rollups: rollups.slice(at, at + PAGE_BUCKETS) };
  }
}

/** Merges stored rows, which come in order of time, into buckets of a step. */
class Composer {
  readonly #deviceId: number;
  readonly #seriesId: number;
  readonly #stepSeconds: number;
  readonly #gain = emptyGain();
  #rows = new RollupRows();

  constructor(deviceId: number, seriesId: number, stepSeconds: number) {
    this.#deviceId = deviceId;
    this.#seriesId = seriesId;
    this.#stepSeconds = stepSeconds;
  }

  add(stored: RollupColumns): void {
    for (let index = 0; index < stored.length; index += 1) {
      const start = Math.floor(stored.start[index]! / this.#stepSeconds) * this.#stepSeconds;
      let row = this.#rows.length - 1;
      if (row < 0 || this.#rows.start[row] !== start) {
        row = this.#rows.open(this.#deviceId, this.#seriesId, this.#stepSeconds, start);
      }
      this.#rows.merge(row, RollupRows.read(stored, index, this.#gain));
    }
  }

  /** All but the last, which may gain more. */
  takeComplete(): Rollup[] {
    const rows = this.#rows;
    if (rows.length < 2) return [];
    const last = rows.length - 1;
    this.#rows = new RollupRows();
    const open = this.#rows.open(this.#deviceId, this.#seriesId, this.#stepSeconds, rows.start[last]!);
    this.#rows.merge(open, RollupRows.read(rows, last, this.#gain));
    return Array.from({ length: last }, (_, row) => rollup(rows, row));
  }

  takeAll(): Rollup[] {
    const rows = this.#rows;
    this.#rows = new RollupRows();
    return Array.from({ length: rows.length }, (_, row) => rollup(rows, row));
  }
}

function rollup(rows: RollupColumns, row: number): Rollup {
  return {
    startUs: rows.start[row]! * 1e6,
    count: rows.count[row]!,
    min: rows.min[row]!,
    max: rows.max[row]!,
    mean: rows.mean[row]!,
    m2: rows.m2[row]!,
    first: rows.first[row]!,
    last: rows.last[row]!,
    firstUs: rows.firstUs[row]!,
    lastUs: rows.lastUs[row]!,
  };
}
