import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { ClockState, type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { itemChecksum } from '@tributary/proto/items/item';
import type { CommittedBatch, Follower } from '../ingest/committed.js';
import type { CheckedItem, DeviceName, RegisteredDevice, Store } from '../store/store.js';

/** For tests: one series of readings at times in seconds. */
export type Readings = readonly (readonly [second: number, value: number])[];

export const TEST_SERIES: SeriesDeclaration[] = [
  { id: 1, name: 'temperature', unit: 'Cel', labels: { room: 'a' }, type: ValueType.DOUBLE },
  { id: 2, name: 'door', unit: '', labels: {}, type: ValueType.BOOLEAN },
  { id: 3, name: 'state', unit: '', labels: {}, type: ValueType.STRING },
];

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

  constructor(store: Store, device: string, epoch = 7) {
    this.store = store;
    this.name = { tenant: '', device };
    this.epoch = new Uint8Array(16).fill(epoch);
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
      series: TEST_SERIES,
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
  item(batch: Batch, options: { lane?: Lane; sequence?: number; offsetUs?: number } = {}): CheckedItem {
    const { lane = Lane.LIVE, sequence = this.#nextSequence, offsetUs = 0 } = options;
    this.#nextSequence = Math.max(this.#nextSequence, sequence + 1);
    const body = Uint8Array.from(encodeBatch(batch));
    const times = batch.groups.flatMap((group) => Array.from(group.times.subarray(0, group.rows)));
    const unitUs = 10 ** (6 - batch.unitExponent);
    const us = times.map((time) => Math.floor((Number(batch.baseTime) + time) * unitUs) + offsetUs);
    const readingsBefore = this.#readings;
    this.#readings += batch.readings;
    return {
      sequence,
      kind: ItemKind.BATCH,
      checksum: itemChecksum(this.epoch, sequence, ItemKind.BATCH, batch.readings, readingsBefore, body),
      readings: batch.readings,
      readingsBefore,
      body,
      firstUs: Math.min(...us),
      lastUs: Math.max(...us),
      offsetUs,
      quality: ClockState.SYNCHRONIZED,
      lane,
    };
  }

  /** Commits, and answers what a follower is handed. */
  async commit(items: readonly CheckedItem[]): Promise<{ position: number; batches: CommittedBatch[] }> {
    const { deviceId, fencingToken, epochs } = this.registered;
    const { epochId, series } = epochs[0]!;
    const part = { deviceId, epochId, fencingToken, items, readingsProduced: this.#readings, readingsWaiting: 0 };
    const [outcome] = await this.store.commit([part], 1);
    if (outcome?.outcome !== 'committed') throw new Error('the device was fenced');
    const { position } = outcome;
    const batches = items.map(({ body, sequence, offsetUs, lastUs, quality, lane }): CommittedBatch => {
      const batch = decodeBatch(body, new DecodeArena());
      return {
        deviceId,
        epochId,
        epoch: this.epoch,
        position,
        sequence,
        lineSequence: sequence,
        offsetUs,
        lastUs,
        quality,
        lane,
        series,
        batch,
      };
    });
    return { position, batches };
  }

  async commitAndFollow(follower: Follower, items: readonly CheckedItem[]): Promise<void> {
    const { position, batches } = await this.commit(items);
    follower.follow(batches, 100_000_000e6);
    follower.committed?.(this.deviceId, position);
  }
}
