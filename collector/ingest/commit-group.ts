import { DecodeArena } from '@tributary/proto/batch/arena';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { DeviceCommit } from '../store/store.js';
import type { DeviceSession, EpochSession } from './device-session.js';
import type { PendingItem } from './pending-item.js';

/** What one start of a device sends of one epoch into one commit. */
export class DevicePart implements DeviceCommit {
  readonly deviceId: number;
  readonly epochId: number;
  readingsProduced = 0;
  readingsWaiting = 0;
  items: PendingItem[] = [];

  constructor(
    readonly group: CommitGroup,
    readonly session: DeviceSession,
    readonly epochSession: EpochSession,
    readonly fencingToken: number,
  ) {
    this.deviceId = session.deviceId;
    this.epochId = epochSession.epochId;
  }

  /** Takes over what the device said last of its counts; called when the commit begins. */
  takeCounts(): void {
    this.readingsProduced = this.epochSession.readingsProduced;
    this.readingsWaiting = this.epochSession.readingsWaiting;
    this.epochSession.countsUntold = false;
  }

  /**
   * Called when the commit begins. A stream of a broken connection may bring live readings after another one has brought a
   * later watermark: what is below a watermark that was passed on is history, for whoever follows and for a replay.
   */
  settleLanes(): void {
    const { session } = this;
    for (const item of this.items) {
      if (item.decoded === undefined || item.lane !== Lane.LIVE) continue;
      if (item.firstUs < session.watermarkUs) item.lane = Lane.BACKFILL;
      else if (item.firstUs < session.committingFromUs) session.committingFromUs = item.firstUs;
    }
  }

  has(sequence: number): boolean {
    const { items } = this;
    const { length } = items;
    if (length === 0 || items[length - 1].sequence < sequence) return false;
    return items[this.#placeOf(sequence)].sequence === sequence;
  }

  /** Adds an item that is not there yet, in order of sequence. */
  add(item: PendingItem): void {
    const { items } = this;
    const { length } = items;
    if (length === 0 || items[length - 1].sequence < item.sequence) items.push(item);
    else items.splice(this.#placeOf(item.sequence), 0, item);
  }

  /** A part of the same device with some of its items. */
  slice(from: number, to: number): DevicePart {
    const part = new DevicePart(this.group, this.session, this.epochSession, this.fencingToken);
    part.takeCounts();
    part.items = this.items.slice(from, to);
    return part;
  }

  /** Index of the first item whose sequence is not below; there is one. */
  #placeOf(sequence: number): number {
    let low = 0;
    let high = this.items.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.items[middle].sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Items of many devices that will be committed together, with the memory that their batches were decoded into. */
export class CommitGroup {
  readonly arena = new DecodeArena();
  parts: DevicePart[] = [];
  items = 0;
  bytes = 0;

  /** The part of this device's epoch and start, made when it is not there yet. */
  partOf(session: DeviceSession, epochSession: EpochSession, fencingToken: number): DevicePart {
    const { part } = epochSession;
    if (part !== undefined && part.group === this && part.fencingToken === fencingToken) return part;
    const made = new DevicePart(this, session, epochSession, fencingToken);
    epochSession.part = made;
    this.parts.push(made);
    return made;
  }

  /** Lets go of everything; the arena's memory is kept for the next use. */
  clear(): void {
    for (const { epochSession } of this.parts) {
      if (epochSession.part?.group === this) epochSession.part = undefined;
    }
    this.parts = [];
    this.items = 0;
    this.bytes = 0;
    this.arena.reset();
  }
}
