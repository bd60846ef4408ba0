import { encodeBatch } from '@tributary/proto/batch/encode';
import { ClockState, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import {
  ItemKind,
  Lane,
  type LedgerEntry,
  LossDeclaration,
  type UploadHeader,
  type UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import {
  type CheckedItem,
  type DeviceCommit,
  type DeviceCommitOutcome,
  type DeviceName,
  ItemOutcome,
  type RegisteredDevice,
} from '../store/store.js';
import type { CommittedBatch, Follower } from './committed.js';
import { IngestCore } from './ingest-core.js';
import { defaultIngestLimits, type IngestLimits } from './ingest-limits.js';
import type { UploadFault, UploadHost, UploadStream } from './upload-stream.js';

/** Tests of ingest share this: a core whose commits the test answers by hand, and what devices send. */
export const NOW_US = 1_800_000_000_000_000;
export const EPOCH = new Uint8Array(16).fill(7);
export const PUMP: DeviceName = { tenant: '', device: 'pump' };

export function registered(changes: Partial<RegisteredDevice> = {}): RegisteredDevice {
  const series = ['temperature', 'running', 'state'].map((name, at) => ({
    seriesId: 100 + at,
    declaration: {
      id: at + 1,
      name,
      unit: '',
      labels: {},
      type: [ValueType.DOUBLE, ValueType.BOOLEAN, ValueType.STRING][at],
    },
  }));
  const segment = {
    id: 1,
    bootId: 'boot',
    offsetUs: NOW_US - 1_000_000,
    observedAtUs: 0,
    uncertaintyUs: 1000,
    state: ClockState.ESTIMATED,
  };
  return {
    deviceId: 5,
    fencingToken: 9,
    alertCursor: 0,
    epochs: [
      {
        epochId: 50,
        epoch: EPOCH,
        ranges: [],
        highestSequence: 0,
        highestChecksum: undefined,
        series: [undefined, ...series],
        segments: [undefined, segment],
        anchors: [undefined],
      },
    ],
    ...changes,
  };
}

export function uploadHeader(changes: Partial<UploadHeader> = {}): UploadHeader {
  return {
    epoch: EPOCH,
    fencingToken: 9,
    lane: Lane.LIVE,
    watermarkUs: 0,
    watermarkSegment: 1,
    backlog: undefined,
    readingsProduced: 0,
    readingsWaiting: 0,
    ...changes,
  };
}

/** A batch of a series of doubles, a reading each millisecond of segment 1 from `startUs` on. */
export function batchBody(values: readonly number[], { seriesId = 1, segment = 1, startUs = 0 } = {}): Uint8Array {
  return encodeBatch({
    segment,
    unitExponent: 6,
    baseTime: BigInt(startUs),
    readings: values.length,
    groups: [
      {
        rows: values.length,
        times: Float64Array.from(values, (_, row) => row * 1000),
        columns: [
          {
            seriesId,
            type: 'double',
            presence: null,
            count: values.length,
            values: Float64Array.from(values),
            strings: [],
          },
        ],
      },
    ],
  });
}

export function item(sequence: number, body: Uint8Array, changes: Partial<Item> = {}, epoch = EPOCH): Item {
  const made: Item = {
    sequence,
    kind: ItemKind.BATCH,
    checksum: 0,
    readings: 3,
    readingsBefore: (sequence - 1) * 3,
    body,
    ...changes,
  };
  if (changes.checksum === undefined) {
    made.checksum = itemChecksum(epoch, sequence, made.kind, made.readings, made.readingsBefore, body);
  }
  return made;
}

/** A batch item of three readings whose values tell its sequence. */
export function batchItem(sequence: number, changes: Partial<Item> = {}): Item {
  return item(sequence, batchBody([sequence, sequence + 0.5, sequence + 0.25]), changes);
}

export function declarationItem(sequence: number, entries: LedgerEntry[]): Item {
  return item(sequence, LossDeclaration.encode({ entries }).finish(), { kind: ItemKind.DECLARATION, readings: 0 });
}

/** What a stream did to its peer. */
export class Peer implements UploadHost {
  response: UploadResponse | undefined;
  fault: UploadFault | undefined;
  paused = false;

  answer(response: UploadResponse): void {
    this.response = response;
  }

  fail(fault: UploadFault): void {
    this.fault = fault;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

/** A core, and a store of the simplest kind: a map from key to checksum that the test commits to when it likes. */
export class Bench {
  readonly core: IngestCore;
  readonly stored = new Map<string, number>();
  readonly commits: (readonly DeviceCommit[])[] = [];
  readonly followed: { deviceId: number; sequence: number; firstValue: number; position: number; offsetUs: number }[] =
    [];
  readonly watermarks: number[] = [];
  readonly bugs: unknown[] = [];
  readonly uncertain: number[] = [];
  fenced = false;
  /** Whether the follower says that it does not keep up. */
  busy = false;
  /** Thrown by the store for commits that hold such an item. */
  poison: ((commit: DeviceCommit) => Error | undefined) | undefined;
  /** What the store makes of an item, instead of what it would. */
  outcome: ((item: CheckedItem) => ItemOutcome | undefined) | undefined;
  #woken = false;
  #position = 0;
  #begun: (readonly DeviceCommit[])[] = [];

  constructor(limits: Partial<IngestLimits> = {}, devices: [DeviceName, RegisteredDevice][] = [[PUMP, registered()]]) {
    const follower: Follower = {
      follow: (batches) => {
        for (const batch of batches) this.followed.push(remember(batch));
      },
      watermark: ({ untilUs }) => {
        this.watermarks.push(untilUs);
      },
      uncertain: (deviceId) => {
        this.uncertain.push(deviceId);
      },
      busy: () => this.busy,
    };
    this.core = new IngestCore({
      limits: { ...defaultIngestLimits, ...limits },
      random: () => 0.5,
      follower,
      port: {
        wake: () => {
          this.#woken = true;
        },
        begin: (commit) => {
          this.#begun.push(commit);
        },
        bug: (error) => {
          this.bugs.push(error);
        },
      },
    });
    for (const [name, device] of devices) this.core.registered(name, device);
  }

  open(name = PUMP): { stream: UploadStream; peer: Peer } {
    const peer = new Peer();
    return { stream: this.core.open(name, peer, NOW_US), peer };
  }

  /** A whole stream of one message, committed. */
  upload(items: readonly Item[], header: Partial<UploadHeader> = {}, name = PUMP): Peer {
    const { stream, peer } = this.open(name);
    stream.message(encodeUploadMessage(uploadHeader(header), items), NOW_US);
    stream.halfClose(NOW_US);
    this.commitAll();
    return peer;
  }

  wake(): void {
    if (!this.#woken) return;
    this.#woken = false;
    this.core.wake();
  }

  get committing(): boolean {
    return this.#begun.length > 0;
  }

  /** Answers the commit that runs. */
  answer(): void {
    const commit = this.#begun.shift();
    if (commit === undefined) throw new Error('no commit runs');
    for (const part of commit) {
      const error = this.poison?.(part);
      if (error === undefined) continue;
      this.core.commitFailed(error);
      return;
    }
    this.commits.push(commit.map((part) => ({ ...part, items: [...part.items] })));
    this.core.committed(
      commit.map((part) => this.#commit(part)),
      NOW_US,
    );
  }

  commitAll(): void {
    while (this.#woken || this.committing) {
      this.wake();
      if (this.committing) this.answer();
    }
  }

  #commit(part: DeviceCommit): DeviceCommitOutcome {
    if (this.fenced) return { outcome: 'fenced' };
    const items = Uint8Array.from(part.items, (item) => {
      const { sequence, checksum } = item;
      const forced = this.outcome?.(item);
      if (forced !== undefined) return forced;
      const key = `${part.deviceId}/${part.epochId}/${sequence}`;
      const known = this.stored.get(key);
      if (known !== undefined) return known === checksum ? ItemOutcome.Duplicate : ItemOutcome.Fork;
      this.stored.set(key, checksum);
      return ItemOutcome.Stored;
    });
    this.#position++;
    return { outcome: 'committed', items, position: this.#position };
  }
}

function remember({ deviceId, sequence, position, offsetUs, batch }: CommittedBatch) {
  return { deviceId, sequence, position, offsetUs, firstValue: batch.groups[0].columns[0].values[0] };
}
