import { SeriesReadings } from '@tributary/core/rules/series-readings';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { BatchError } from '@tributary/proto/batch/batch-error';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import type { CatalogueSeries, CheckedItem, ReadingsRange, Store } from '../../store/store.js';
import { batchBytes } from '../../store/thinned-item.js';
import { type Break, MissingItems } from './missing-items.js';
import { PendingSeries, type SettledReadings } from './pending-series.js';

/** Bytes of stored items that are read at a time: about half a million readings, and one short read of the store. */
const READ_BYTES = 1024 * 1024;

/** Readings in memory from which on what is settled is judged before more is decoded: 6 MB. */
const WAITING_MAX_DEFAULT = 262_144;

/** A part of a device's history that is whole: nothing earlier than its end is still to be read. */
export interface Stretch {
  /** By the collector's id of the series. */
  series: Map<number, SettledReadings>;
  /** Where readings are missing, in order of time; readings at such a time come after it. */
  breaks: Break[];
  /** Everything earlier than this was read. */
  untilUs: number;
}

export interface EventOrderOptions {
  store: Pick<Store, 'readRange' | 'catalogue'>;
  range: ReadingsRange;
  /** Series that are wanted, by the collector's id. */
  series: ReadonlySet<number>;
  waitingMax?: number;
}

/** Reads a device's history in order of event time, in bounded memory. */
export class EventOrder {
  /** Readings that were read, of all series. */
  readings = 0;
  /** Items that could not be decoded: a newer version wrote them. */
  undecodable = 0;
  /** Event time of the newest reading of any series; -Infinity before the first. */
  newestUs = Number.NEGATIVE_INFINITY;

  readonly #options: EventOrderOptions;
  readonly #pending = new Map<number, PendingSeries>();
  readonly #catalogues = new Map<number, (CatalogueSeries | undefined)[]>();
  readonly #missing = new MissingItems();
  readonly #arena = new DecodeArena();
  readonly #columns = new SeriesReadings();
  #breaks: Break[] = [];
  #waiting = 0;

  constructor(options: EventOrderOptions) {
    this.#options = options;
  }

  async *stretches(): AsyncGenerator<Stretch> {
    const { store, range, waitingMax = WAITING_MAX_DEFAULT } = this.#options;
    let after = '';
    do {
      const page = await store.readRange(range, after, READ_BYTES);
      after = page.next;
      for (const { deviceId, epochId, epoch, items } of page.items) {
        let catalogue = this.#catalogues.get(epochId);
        if (catalogue === undefined) {
          catalogue = await store.catalogue(deviceId, epochId);
          this.#catalogues.set(epochId, catalogue);
        }
        const epochText = Buffer.from(epoch).toString('hex');
        for (const item of items) {
          if (this.#waiting >= waitingMax) yield this.#take(item.firstUs);
          this.#add(item, epochId, epochText, catalogue);
        }
      }
    } while (after !== '');
    yield this.#take(Number.POSITIVE_INFINITY);
  }

  #add(item: CheckedItem, epochId: number, epoch: string, catalogue: readonly (CatalogueSeries | undefined)[]): void {
    // What was later than the collector's clock when it came moves no rule, then and now.
    if (item.quality === TimeQuality.FUTURE) return;
    this.#breaks.push(...this.#missing.before(item, epochId));
    const { series, range } = this.#options;
    this.#arena.reset();
    try {
      const batch = decodeBatch(batchBytes(item), this.#arena);
      const origin = { epoch, sequence: item.sequence };
      this.#columns.openBatch(batch, item.offsetUs);
      for (const group of batch.groups) {
        this.#columns.openGroup(group);
        for (const column of group.columns) {
          this.readings += column.count;
          const seriesId = catalogue[column.seriesId]?.seriesId;
          if (seriesId === undefined || !series.has(seriesId)) continue;
          this.#columns.select(column);
          this.#waiting += this.#pendingOf(seriesId).add(this.#columns, origin, range.fromUs, range.untilUs);
        }
      }
      this.newestUs = Math.max(this.newestUs, Math.min(item.lastUs, range.untilUs - 1));
    } catch (error) {
      if (!(error instanceof BatchError)) throw error;
      this.undecodable += 1;
    }
  }

  #pendingOf(seriesId: number): PendingSeries {
    let pending = this.#pending.get(seriesId);
    if (pending === undefined) {
      pending = new PendingSeries();
      this.#pending.set(seriesId, pending);
    }
    return pending;
  }

  #take(untilUs: number): Stretch {
    const series = new Map<number, SettledReadings>();
    for (const [seriesId, pending] of this.#pending) {
      const before = pending.count;
      const taken = pending.take(untilUs);
      this.#waiting -= before - pending.count;
      if (taken !== undefined) series.set(seriesId, taken);
    }
    const breaks = this.#breaks.filter(({ atUs }) => atUs < untilUs).sort((a, b) => a.atUs - b.atUs);
    this.#breaks = this.#breaks.filter(({ atUs }) => atUs >= untilUs);
    return { series, breaks, untilUs };
  }
}
