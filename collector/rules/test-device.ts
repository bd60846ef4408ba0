import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { ClockState, type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import {
  ItemKind,
  Lane,
  type LedgerEntry,
  LossDeclaration,
  LossReason,
  ThinnedBatch,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import { itemChecksum } from '@tributary/proto/items/item';
import type { CommittedBatch, CommittedNote, Follower } from '../ingest/committed.js';
import {
  type CheckedItem,
  type DeviceName,
  ItemOutcome,
  type Quality,
  type RegisteredDevice,
  type Store,
} from '../store/store.js';
import { batchBytes, hasReadings, replacedBy } from '../store/thinned-item.js';

/** For tests: one series of readings at times in seconds. */
export type Readings = readonly (readonly [second: number, value: number])[];

export const TEST_SERIES: SeriesDeclaration[] = [
  { id: 1, name: 'temperature', unit: 'Cel', labels: { room: 'a' }, type: ValueType.DOUBLE },
  { id: 2, name: 'door', unit: '', labels: {}, type: ValueType.BOOLEAN },
  { id: 3, name: 'state', unit: '', labels: {}, type: ValueType.STRING },
  { id: 4, name: 'pressure', unit: 'bar', labels: {}, type: ValueType.DOUBLE },
];

/** Readings of the series above, each with times in seconds. */
export interface MixedReadings {
  temperature?: Readings;
  door?: readonly (readonly [second: number, open: boolean])[];
  state?: readonly (readonly [second: number, text: string])[];
  pressure?: Readings;
}

/** A batch of several series in milliseconds of absolute time, each with times of its own. */
export function mixedBatch({ temperature = [], door = [], state = [], pressure = [] }: MixedReadings): Batch {
  const texts = [...new Set(state.map(([, text]) => text))];
  const columns = [
    { id: 1, type: 'double' as const, rows: temperature },
    { id: 2, type: 'boolean' as const, rows: door.map(([at, open]) => [at, Number(open)] as const) },
    { id: 3, type: 'string' as const, rows: state.map(([at, text]) => [at, texts.indexOf(text)] as const) },
    { id: 4, type: 'double' as const, rows: pressure },
  ].filter(({ rows }) => rows.length > 0);
  return {
    segment: 0,
    unitExponent: 3,
    baseTime: 0n,
    readings: columns.reduce((sum, { rows }) => sum + rows.length, 0),
    groups: columns.map(({ id, type, rows }) => ({
      rows: rows.length,
      times: Float64Array.from(rows, ([second]) => Math.round(second * 1000)),
      columns: [
        {
          seriesId: id,
          type,
          presence: null,
          count: rows.length,
          values: Float64Array.from(rows, ([, value]) => value),
          strings: type === 'string' ? texts : [],
        },
      ],
    })),
  };
}

/** A batch of series 1 in milliseconds of absolute time. */
export function readingsBatch(readings: Readings): Batch {
  return {
    segment: 0,
    unitExponent: 3,
    baseTime: 0n,
    readings: readings.length,
    groups: [
      {
        rows: readings.length,
        times: Float64Array.from(readings, ([second]) => second * 1000),
        columns: [
          {
            seriesId: 1,
            type: 'double',
            presence: null,
            count: readings.length,
            values: Float64Array.from(readings, ([, value]) => value),
            strings: [],
          },
        ],
      },
    ],
  };
}

/** For tests: a device of a real store that commits batches and hands them to a follower, as ingest does. */
export class TestDevice {
  readonly store: Store;
  readonly name: DeviceName;
  readonly epoch: Uint8Array;
  registered!: RegisteredDevice;
  #readings = 0;
  #nextSequence = 1;

  readonly #series: readonly SeriesDeclaration[];

  constructor(store: Store, device: string, epoch = 7, series: readonly SeriesDeclaration[] = TEST_SERIES) {
    this.#series = series;
    this.store = store;
    this.name = { tenant: '', device };
    this.epoch = new Uint8Array(16).fill(epoch);
  }

  /** Readings of all items that were made, sent or not. */
  get readingsProduced(): number {
    return this.#readings;
  }

  get deviceId(): number {
    return this.registered.deviceId;
  }

  async register(): Promise<this> {
    const outcome = await this.store.register({
      name: this.name,
      startId: new Uint8Array(16).fill(1),
      agentVersion: '1.0.0',
      attributes: {},
      epochs: [{ epoch: this.epoch, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
      series: this.#series,
      segments: [],
      anchors: [],
      nowUs: 1,
      seriesPerDeviceMax: 10,
    });
    if (outcome.outcome !== 'registered') throw new Error(outcome.outcome);
    this.registered = outcome.device;
    return this;
  }

  /** The item of a batch; sequences count up unless one is given. */
  item(
    batch: Batch,
    options: { lane?: Lane; sequence?: number; offsetUs?: number; quality?: Quality } = {},
  ): CheckedItem {
    const { lane = Lane.LIVE, sequence = this.#nextSequence, offsetUs = 0 } = options;
    const { quality = ClockState.SYNCHRONIZED } = options;
    this.#nextSequence = Math.max(this.#nextSequence, sequence + 1);
    const body = Uint8Array.from(encodeBatch(batch));
    const readingsBefore = this.#readings;
    this.#readings += batch.readings;
    return {
      sequence,
      kind: ItemKind.BATCH,
      checksum: itemChecksum(this.epoch, sequence, ItemKind.BATCH, batch.readings, readingsBefore, body),
      readings: batch.readings,
      readingsBefore,
      body,
      ...spanOf(batch, offsetUs),
      offsetUs,
      quality,
      lane,
    };
  }

  /** An item that declares losses, of whatever epoch. */
  declaration(entries: readonly LedgerEntry[], lane = Lane.LIVE): CheckedItem {
    const body = LossDeclaration.encode({ entries: [...entries] }).finish();
    return { ...this.#empty(ItemKind.DECLARATION, body, lane), entries };
  }

  /** A batch that stands for items that were made and are never sent: some of their readings. */
  thinned(batch: Batch, replaced: readonly CheckedItem[]): CheckedItem {
    const entries = replaced.map(({ sequence, readings }) => ({
      epoch: this.epoch,
      first: sequence,
      last: sequence,
      readings,
      bound: false,
      reason: LossReason.THINNED,
    }));
    const inner = encodeBatch(batch);
    const kept = replaced.map((_, at) => (at === 0 ? batch.readings : 0));
    for (const [at, entry] of entries.entries()) entry.readings -= kept[at]!;
    const body = ThinnedBatch.encode({ replaced: entries, readings: batch.readings, batch: inner, kept }).finish();
    const { firstUs, lastUs } = spanOf(batch, 0);
    const item = this.#empty(ItemKind.THINNED_BATCH, body, Lane.BACKFILL);
    return { ...item, entries, kept: batch.readings, firstUs, lastUs };
  }

  #empty(kind: ItemKind, body: Uint8Array, lane: Lane): CheckedItem {
    const sequence = this.#nextSequence++;
    const readingsBefore = this.#readings;
    return {
      sequence,
      kind,
      checksum: itemChecksum(this.epoch, sequence, kind, 0, readingsBefore, body),
      readings: 0,
      readingsBefore,
      body,
      firstUs: 0,
      lastUs: 0,
      offsetUs: 0,
      quality: ClockState.SYNCHRONIZED,
      lane,
    };
  }

  /** Commits, and answers what a follower is handed. */
  async commit(
    items: readonly CheckedItem[],
    nowUs = 1,
  ): Promise<{ position: number; batches: CommittedBatch[]; notes: CommittedNote[] }> {
    const { deviceId, fencingToken, epochs } = this.registered;
    const { epochId, series } = epochs[0]!;
    const part = { deviceId, epochId, fencingToken, items, readingsProduced: this.#readings, readingsWaiting: 0 };
    const [outcome] = await this.store.commit([part], nowUs);
    if (outcome?.outcome !== 'committed') throw new Error('the device was fenced');
    const { position } = outcome;
    const stored = items.filter((_, at) => (outcome.items[at] as ItemOutcome) === ItemOutcome.Stored);
    const batches: CommittedBatch[] = [];
    const notes: CommittedNote[] = [];
    for (const item of stored) {
      const { epoch } = this;
      if (!hasReadings(item.kind)) {
        const { sequence, entries: declared = [] } = item;
        notes.push({ deviceId, position, epoch, sequence, declared });
        continue;
      }
      const batch = decodeBatch(batchBytes(item), new DecodeArena());
      batches.push({ ...item, deviceId, epochId, epoch, position, replaced: replacedBy(item), series, batch });
    }
    return { position, batches, notes };
  }

  async commitAndFollow(follower: Follower, items: readonly CheckedItem[], nowUs = 1): Promise<void> {
    const { position, batches, notes } = await this.commit(items, nowUs);
    if (notes.length > 0) follower.note?.(notes);
    if (batches.length > 0) follower.follow(batches, 100_000_000e6);
    follower.committed?.(this.deviceId, position);
  }
}

function spanOf(batch: Batch, offsetUs: number): { firstUs: number; lastUs: number } {
  const times = batch.groups.flatMap((group) => Array.from(group.times.subarray(0, group.rows)));
  const unitUs = 10 ** (6 - batch.unitExponent);
  const us = times.map((time) => Math.floor((Number(batch.baseTime) + time) * unitUs) + offsetUs);
  return { firstUs: Math.min(...us), lastUs: Math.max(...us) };
}
