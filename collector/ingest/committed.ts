import type { Batch } from '@tributary/proto/batch/batch';
import type { Lane, LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CatalogueSeries, Quality } from '../store/store.js';

/** A batch that was stored just now: not a duplicate, not a fork. Its columns are valid until `follow` returns. */
export interface CommittedBatch {
  readonly deviceId: number;
  readonly epochId: number;
  /** 16 bytes. */
  readonly epoch: Uint8Array;
  /** The device's commit position; several batches of one commit share it. */
  readonly position: number;
  readonly sequence: number;
  /** Readings that it adds to what the epoch produced (a thinned one: none), and those before it. */
  readonly readings: number;
  readonly readingsBefore: number;
  /** What a thinned one replaces; empty for all others. */
  readonly replaced: readonly LedgerEntry[];
  /** To add to the batch's times, in microseconds, to have microseconds since the Unix epoch; 0 in the absolute segment. */
  readonly offsetUs: number;
  /** Event times of the earliest and the latest reading, microseconds since the Unix epoch. */
  readonly firstUs: number;
  readonly lastUs: number;
  readonly quality: Quality;
  readonly lane: Lane;
  /** The epoch's catalogue by the device's id: `batch.groups[].columns[].seriesId` is an index into it. */
  readonly series: readonly (CatalogueSeries | undefined)[];
  readonly batch: Batch;
}

/** An item without readings that was stored just now: a declaration, or a transition. */
export interface CommittedNote {
  readonly deviceId: number;
  readonly position: number;
  /** 16 bytes. */
  readonly epoch: Uint8Array;
  readonly sequence: number;
  /** What it declares lost. */
  readonly declared: readonly LedgerEntry[];
}

/** What the header of a live stream promised, once everything that the stream brought is stored. */
export interface Watermark {
  readonly deviceId: number;
  /** Microseconds since the Unix epoch. */
  readonly untilUs: number;
  /** Of the stream, 16 bytes, and how many readings the device had produced in it when the stream began. */
  readonly epoch: Uint8Array;
  readonly readingsProduced: number;
  /** The collector's wall clock when it came. */
  readonly nowUs: number;
}

/** What follows from committed data: rollups, rules, alerts. */
export interface Follower {
  /**
   * Batches of one commit: devices in the order of the commit, each device's batches in order of sequence, all of them in
   * one call. A commit of many devices may come in several calls, after its answers; commits come in their order. It must
   * not throw; the batches' memory is handed out again when it returns.
   */
  follow(batches: readonly CommittedBatch[], nowUs: number): void;
  /** Items without readings of the commits whose batches are followed next; otherwise as `follow`. */
  note?(notes: readonly CommittedNote[]): void;
  /**
   * No live reading of the device older than `untilUs` will come. Called after
   * the batches that came before it were followed; it never goes back for one device.
   */
  watermark?(watermark: Watermark): void;
  /**
   * The device has committed up to `position`, whether or not anything of that commit was a batch: a mark may be saved
   * up to it once what `follow` was given is saved.
   */
  committed?(deviceId: number, position: number): void;
  /** The disk or the connection failed in a commit for this device: nobody can say whether the store has it. */
  uncertain?(deviceId: number): void;
  /** It does not keep up with what is committed: devices should wait with more. */
  busy?(): boolean;
}
