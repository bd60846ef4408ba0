import type { Batch } from '@tributary/proto/batch/batch';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import {
  type DeferralReason,
  ItemKind,
  Lane,
  type LedgerEntry,
  type RejectionReason,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { CatalogueSeries, CheckedItem, Quality } from '../store/store.js';
import type { CommittedBatch, CommittedNote } from './committed.js';
import type { DeviceSession, EpochSession } from './device-session.js';

/** Who is told what became of an item: once, and exactly one of these. */
export interface ItemOwner {
  durable(item: PendingItem): void;
  forked(item: PendingItem): void;
  rejected(item: PendingItem, reason: RejectionReason, detail: string): void;
  later(item: PendingItem, reason: DeferralReason, delayMs: number): void;
}

const NO_ENTRIES: readonly LedgerEntry[] = [];

/**
 * An item on its way through a commit: what the store takes and what follows the commit, in one object, because there is
 * one for each item.
 */
export class PendingItem implements CheckedItem, CommittedBatch, CommittedNote {
  readonly sequence: number;
  readonly kind: ItemKind;
  readonly checksum: number;
  readonly readings: number;
  readonly readingsBefore: number;
  readonly body: Uint8Array;
  /** Live becomes backfill when a watermark has passed it by before its commit begins. */
  lane: Lane;
  readonly deviceId: number;
  readonly epochId: number;
  readonly epoch: Uint8Array;
  firstUs = 0;
  lastUs = 0;
  offsetUs = 0;
  quality: Quality = ClockState.UNSPECIFIED;
  entries: readonly LedgerEntry[] = NO_ENTRIES;
  series: readonly (CatalogueSeries | undefined)[];
  /** Absent for a declaration, and for an item that is known to be stored. */
  decoded: Batch | undefined = undefined;
  position = 0;
  /** What the decoded batch takes in memory. */
  decodedBytes = 0;
  /** Readings of a thinned batch, which its head does not count. */
  kept = 0;
  /** What it counts in flight. */
  costBytes = 0;

  constructor(
    item: Item,
    lane: Lane,
    readonly session: DeviceSession,
    readonly epochSession: EpochSession,
    readonly owner: ItemOwner,
  ) {
    this.sequence = item.sequence;
    this.kind = item.kind;
    this.checksum = item.checksum;
    this.readings = item.readings;
    this.readingsBefore = item.readingsBefore;
    this.body = item.body;
    // What was thinned waited for long: it is history, whatever lane it came in.
    this.lane = item.kind === ItemKind.THINNED_BATCH ? Lane.BACKFILL : lane;
    this.deviceId = session.deviceId;
    this.epochId = epochSession.epochId;
    this.epoch = epochSession.epoch;
    this.series = epochSession.series;
  }

  get replaced(): readonly LedgerEntry[] {
    return this.kind === ItemKind.THINNED_BATCH ? this.entries : NO_ENTRIES;
  }

  get declared(): readonly LedgerEntry[] {
    return this.kind === ItemKind.DECLARATION ? this.entries : NO_ENTRIES;
  }

  get batch(): Batch {
    if (this.decoded === undefined) throw new Error('an item without a decoded batch was followed');
    return this.decoded;
  }
}
