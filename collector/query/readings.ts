import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import type { QueryReadingsResponse, Series } from '@tributary/proto/gen/tributary/v1/query';
import { CallError } from '../server/call-error.js';
import type { CatalogueSeries, CheckedItem, Store } from '../store/store.js';
import { batchBytes } from '../store/thinned-item.js';
import { timeScale } from './exact-time.js';
import { PendingReadings } from './pending-readings.js';

/** Bytes of stored items that are read at a time: about half a million readings. */
const READ_BYTES = 1024 * 1024;

/** Readings in memory from which on what is settled is sent before more is decoded: 7 MB. */
const SEND_AT = 262_144;

/**
 * Readings that may wait in memory for one query: 100 MB. Only readings of items whose times overlap wait, so nobody comes
 * near it who does not ask for history that came over and over.
 */
const WAITING_MAX = 4_000_000;

export interface ReadingsQuery {
  deviceId: number;
  /** Half open, microseconds since the Unix epoch. */
  fromUs: number;
  untilUs: number;
  /** 0 is no limit. */
  limit: number;
  /** The series that are asked for, by the collector's id. */
  series: ReadonlyMap<number, Series>;
}

type QueryStore = Pick<Store, 'readRange' | 'catalogue'>;

/**
 * Readings of a device, each series in order of time. The store answers items in order of their first time; what is earlier
 * than the first time of the item read last can therefore not be preceded any more, and is sent. What is later waits, and
 * is merged with the items that follow.
 */
export async function* queryReadings(store: QueryStore, query: ReadingsQuery): AsyncGenerator<QueryReadingsResponse> {
  if (query.series.size === 0 || query.fromUs >= query.untilUs) return;
  const merge = new Merge(query);
  const catalogues = new Map<number, (CatalogueSeries | undefined)[]>();
  let after = '';
  do {
    const page = await store.readRange(query, after, READ_BYTES);
    after = page.next;
    let settledUs = Number.NEGATIVE_INFINITY;
    for (const { deviceId, epochId, items } of page.items) {
      let catalogue = catalogues.get(epochId);
      if (catalogue === undefined) {
        catalogue = await store.catalogue(deviceId, epochId);
        catalogues.set(epochId, catalogue);
      }
      for (const item of items) {
        settledUs = item.firstUs;
        // Few bytes can hold many readings, so a page is not decoded as a whole.
        if (merge.waiting >= SEND_AT) yield* merge.take(settledUs);
        if (merge.left <= 0) return;
        merge.add(item, catalogue);
      }
    }
    yield* merge.take(after === '' ? Number.POSITIVE_INFINITY : settledUs);
  } while (after !== '' && merge.left > 0);
}

class Merge {
  readonly #query: ReadingsQuery;
  readonly #pending = new Map<number, PendingReadings>();
  readonly #arena = new DecodeArena();
  /** Readings in memory. */
  waiting = 0;
  /** Readings that may still be sent. */
  left: number;

  constructor(query: ReadingsQuery) {
    this.#query = query;
    this.left = query.limit === 0 ? Number.POSITIVE_INFINITY : query.limit;
  }

  add(item: CheckedItem, catalogue: readonly (CatalogueSeries | undefined)[]): void {
    const { fromUs, untilUs, series } = this.#query;
    this.#arena.reset();
    const batch = decodeBatch(batchBytes(item), this.#arena);
    const scale = timeScale(batch, item.offsetUs);
    for (const group of batch.groups) {
      for (const column of group.columns) {
        const seriesId = catalogue[column.seriesId]?.seriesId;
        const asked = seriesId === undefined ? undefined : series.get(seriesId);
        if (asked === undefined) continue;
        let pending = this.#pending.get(asked.id);
        if (pending === undefined) {
          pending = new PendingReadings(asked);
          this.#pending.set(asked.id, pending);
        }
        const before = pending.count;
        pending.add(group, column, scale, item.quality, fromUs, untilUs);
        this.waiting += pending.count - before;
      }
    }
    if (this.waiting > WAITING_MAX) {
      throw new CallError('exhausted', 'too many readings of overlapping times; ask for less time at once');
    }
  }

  /** Takes out what is earlier than `beforeUs`. */
  *take(beforeUs: number): Generator<QueryReadingsResponse> {
    for (const pending of this.#pending.values()) {
      for (const message of pending.take(beforeUs, this.left)) {
        this.left -= message.offsets.length;
        this.waiting -= message.offsets.length;
        yield message;
      }
    }
  }
}
