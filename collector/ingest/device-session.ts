import { anchorsBySegment, type ClockObservation, SegmentLine } from '@tributary/core/clock/clock-observation';
import type { ColumnType } from '@tributary/proto/batch/batch';
import { type ClockAnchor, type SegmentDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { IntervalSet } from '../store/interval-set.js';
import type { CatalogueSeries, DeviceName, RegisteredDevice, RegisteredEpoch } from '../store/store.js';
import type { DevicePart } from './commit-group.js';

/** What ingest knows of one epoch of a registered device. */
export class EpochSession {
  readonly epochId: number;
  /** 16 bytes. */
  readonly epoch: Uint8Array;
  /** What is known to be stored. The store may know of more; it has the last word. */
  readonly stored = new IntervalSet();
  highest = 0;
  /** Index is the device's id. Replaced, never changed, when the catalogue grows: batches in flight keep theirs. */
  series: readonly (CatalogueSeries | undefined)[] = [];
  /** The column type that each series must have. */
  types: readonly (ColumnType | undefined)[] = [];
  #segments: readonly (SegmentDeclaration | undefined)[] = [];
  #anchors: ReadonlyMap<number, ClockAnchor[]> = new Map();
  /** Made as batches ask for them: a device has many segments, and sends readings of one or two. */
  readonly #lines = new Map<number, SegmentLine>();
  /** What the device said last. */
  readingsProduced = 0;
  readingsWaiting = 0;
  /** The store was not told of that yet. */
  countsUntold = false;
  /** This epoch's part of the commit that is being gathered, if it has one. */
  part: DevicePart | undefined;

  constructor(registered: RegisteredEpoch) {
    this.epochId = registered.epochId;
    this.epoch = registered.epoch;
    this.refresh(registered);
  }

  refresh(registered: RegisteredEpoch): void {
    this.series = registered.series;
    this.types = registered.series.map((entry) => entry && columnTypeOf(entry.declaration.type));
    this.#segments = registered.segments;
    this.#anchors = anchorsBySegment(registered.anchors);
    this.#lines.clear();
    this.highest = Math.max(this.highest, registered.highestSequence);
    for (const { first, last } of registered.ranges) this.stored.add(first, last);
  }

  /** What is known of a segment's offset at a moment of its line; undefined when the segment is not declared. */
  clockAt(segment: number, lineUs: number): ClockObservation | undefined {
    let line = this.#lines.get(segment);
    if (line === undefined) {
      const declared = this.#segments[segment];
      if (declared === undefined) return undefined;
      line = new SegmentLine(declared, this.#anchors.get(segment) ?? []);
      this.#lines.set(segment, line);
    }
    return line.at(lineUs);
  }

  /** The device's counts, from an upload's header. */
  say(readingsProduced: number, readingsWaiting: number): void {
    if (readingsProduced === this.readingsProduced && readingsWaiting === this.readingsWaiting) return;
    this.readingsProduced = readingsProduced;
    this.readingsWaiting = readingsWaiting;
    this.countsUntold = true;
  }
}

function columnTypeOf(type: ValueType): ColumnType | undefined {
  if (type === ValueType.DOUBLE) return 'double';
  if (type === ValueType.BOOLEAN) return 'boolean';
  return type === ValueType.STRING ? 'string' : undefined;
}

/** A key of an epoch that a Map can hold. */
function epochKey(epoch: Uint8Array): string {
  return Buffer.from(epoch.buffer, epoch.byteOffset, epoch.byteLength).toString('latin1');
}

/** A registered device: what its certificate named, and what its newest registration gave it. */
export class DeviceSession {
  readonly deviceId: number;
  fencingToken = 0;
  inFlightBytes = 0;
  /** When it last sent an item, in ticks of the core. */
  activeTick = -1;
  streamsOpen = 0;
  /** The newest watermark that was passed on; it never goes back. */
  watermarkUs = Number.NEGATIVE_INFINITY;
  /** The earliest live reading that is with the store now: no watermark goes beyond it before it was followed. */
  committingFromUs = Number.POSITIVE_INFINITY;
  #epochs = new Map<string, EpochSession>();

  constructor(deviceId: number) {
    this.deviceId = deviceId;
  }

  /** The epoch, when the newest registration named it. */
  epoch(epoch: Uint8Array): EpochSession | undefined {
    return this.#epochs.get(epochKey(epoch));
  }

  /** Another start of the device has the store now, perhaps through another collector: this one must register again. */
  fence(fencingToken: number): void {
    if (this.fencingToken === fencingToken) this.#epochs = new Map();
  }

  /** Takes a registration. An answer of the store that a newer one has overtaken changes nothing. */
  refresh(device: RegisteredDevice): void {
    if (device.fencingToken < this.fencingToken) return;
    this.fencingToken = device.fencingToken;
    const epochs = new Map<string, EpochSession>();
    for (const registered of device.epochs) {
      const key = epochKey(registered.epoch);
      const known = this.#epochs.get(key);
      known?.refresh(registered);
      epochs.set(key, known ?? new EpochSession(registered));
    }
    this.#epochs = epochs;
  }
}

function nameKey(name: DeviceName): string {
  // Identity names have no slash.
  return `${name.tenant}/${name.device}`;
}

/** The registered devices, at most so many: one that is forgotten is told to register again, which costs it one call. */
export class SessionTable {
  readonly #sessions = new Map<string, DeviceSession>();
  readonly #devicesMax: number;

  constructor(devicesMax: number) {
    this.#devicesMax = devicesMax;
  }

  get size(): number {
    return this.#sessions.size;
  }

  find(name: DeviceName): DeviceSession | undefined {
    return this.#sessions.get(nameKey(name));
  }

  /** Remembers a registration, and forgets the one that is oldest and idle when there are too many. */
  refresh(name: DeviceName, device: RegisteredDevice): DeviceSession {
    const key = nameKey(name);
    const session = this.#sessions.get(key) ?? new DeviceSession(device.deviceId);
    session.refresh(device);
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size > this.#devicesMax) this.#forgetOldest();
    return session;
  }

  #forgetOldest(): void {
    for (const [key, session] of this.#sessions) {
      if (session.streamsOpen > 0 || session.inFlightBytes > 0) continue;
      this.#sessions.delete(key);
      return;
    }
  }
}
