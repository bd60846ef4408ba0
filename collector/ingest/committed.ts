import type { Batch } from '@tributary/proto/batch/batch';
import type { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
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
  /** Where it stands in the device's history: its sequence, or of a thinned one the first that it replaces. */
  readonly lineSequence: number;
  /** To add to the batch's times, in microseconds, to have microseconds since the Unix epoch; 0 in the absolute segment. */
  readonly offsetUs: number;
  /** Event time of the latest reading, microseconds since the Unix epoch. */
  readonly lastUs: number;
  readonly quality: Quality;
  readonly lane: Lane;
  /** The epoch's catalogue by the device's id: `batch.groups[].columns[].seriesId` is an index into it. */
  readonly series: readonly (CatalogueSeries | undefined)[];
  readonly batch: Batch;
}

/** A transition of an incident that a device evaluates, which was stored just now. */
export interface CommittedTransition {
  readonly deviceId: number;
  /** The device's commit position. */
  readonly position: number;
  readonly lane: Lane;
  /** Event times as they were resolved when it came, microseconds since the Unix epoch. */
  readonly startedAtUs: number;
  readonly transitionAtUs: number;
  /** The series that the incident is about; undefined when it is about the device. */
  readonly series: CatalogueSeries | undefined;
  readonly transition: IncidentTransition;
}

/** What follows from committed data: rollups, rules, alerts. */
export interface Follower {
  /**
   * Batches of one commit: devices in the order of the commit, each device's batches in order of sequence, all of them in
   * one call. A commit of many devices may come in several calls, after its answers; commits come in their order. It must
   * not throw; the batches' memory is handed out again when it returns.
   */
  follow(batches: readonly CommittedBatch[], nowUs: number): void;
  /**
   * Transitions of one commit, before its batches are followed; otherwise as `follow`.
   */
  adopt?(transitions: readonly CommittedTransition[]): void;
  /**
   * No live reading of this device older than `watermarkUs` (microseconds since the Unix epoch) will come. Called after
   * the batches that came before it were followed; it never goes back for one device.
   */
  watermark?(deviceId: number, watermarkUs: number, nowUs: number): void;
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
