import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { EpochState } from '@tributary/proto/gen/tributary/v1/device';
import type { Device, EpochAudit, TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import type {
  ClockAnchor,
  ClockState,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
  ValueType,
} from '@tributary/proto/gen/tributary/v1/series';
import type { Lane, LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { IncidentStore } from './incidents.js';

/**
 * Segments of one epoch at the most: ten boots or suspends a day for four years. All of them are in memory while the device
 * is registered, 2 MB.
 */
export const SEGMENTS_PER_EPOCH_MAX = 16_384;

/**
 * Ids of segments and anchors go on where an epoch was left for a new one, so they may be beyond its count: a device that
 * is started each ten minutes gets here in twenty years. Nothing is kept for ids that are not used.
 */
export const CLOCK_ID_MAX = 2 ** 20;

/**
 * Anchors of one epoch at the most: a crystal that is off by 50 millionths moves its offset by an anchor's bound some 40
 * times a day, for four years. 100 bytes each in memory while the device is registered.
 */
export const ANCHORS_PER_EPOCH_MAX = 65_536;

/**
 * Epochs that a device may register at the most, ever: each is rows that stay. One a week for twenty years; a device that
 * needs more opens epochs in a loop, and somebody should look at its card.
 */
export const EPOCHS_PER_DEVICE_MAX = 1024;

/** A device's name as its certificate gives it; the tenant is empty where there is none. */
export interface DeviceName {
  tenant: string;
  device: string;
}

export interface Registration {
  name: DeviceName;
  startId: Uint8Array;
  agentVersion: string;
  attributes: Record<string, string>;
  epochs: readonly EpochState[];
  /** Of the first epoch. */
  series: readonly SeriesDeclaration[];
  /** Of the first epoch, with the offset and state that the collector settled on. */
  segments: readonly SegmentDeclaration[];
  /** Of the first epoch, settled in the same way. */
  anchors: readonly ClockAnchor[];
  nowUs: number;
  /** More series than this for one device are refused, so that one device cannot fill the catalogue. */
  seriesPerDeviceMax: number;
}

export type RegistrationOutcome =
  | { outcome: 'registered'; device: RegisteredDevice }
  /** An id is already declared as something else: the buffer is a copy, and must open a new epoch. */
  | { outcome: 'conflict'; detail: string }
  | { outcome: 'too-many-series' | 'too-many-epochs'; detail: string };

/** What ingest must know of a device while it is connected. */
export interface RegisteredDevice {
  deviceId: number;
  fencingToken: number;
  epochs: RegisteredEpoch[];
  alertCursor: number;
}

export interface RegisteredEpoch {
  epochId: number;
  epoch: Uint8Array;
  ranges: SequenceRange[];
  highestSequence: number;
  highestChecksum: number | undefined;
  /** Index is the id that the device uses; index 0 is unused. */
  series: (CatalogueSeries | undefined)[];
  segments: (SegmentDeclaration | undefined)[];
  /** Index is the anchor's id; index 0 is unused. */
  anchors: (ClockAnchor | undefined)[];
}

export interface CatalogueSeries {
  /** The collector's own id: one for device, name, unit, labels and type over all epochs. */
  seriesId: number;
  declaration: SeriesDeclaration;
}

/** How well the times of an item are known, as frozen when it came: of what is later than the clock was then, just that. */
export type Quality = ClockState | TimeQuality.FUTURE;

/** An item that ingest has checked. */
export interface CheckedItem extends Item {
  /** Event times in microseconds since the Unix epoch, as resolved now and frozen; 0 for what is not a batch. */
  firstUs: number;
  lastUs: number;
  /** What was added to the batch's times, in microseconds; 0 in the absolute segment. */
  offsetUs: number;
  quality: Quality;
  /** The lane that it came in. Kept, so that a replay judges history as history. */
  lane: Lane;
  /** Of a declaration; of a thinned batch what it replaces. */
  entries?: readonly LedgerEntry[];
  /** Readings that a thinned batch holds; where it is absent the body says. */
  kept?: number;
}

export interface DeviceCommit {
  deviceId: number;
  epochId: number;
  fencingToken: number;
  /** In order of sequence, none twice. */
  items: readonly CheckedItem[];
  /** As the stream's header says; a commit of the same stream repeats them, and what was stored meanwhile is taken off. */
  readingsProduced: number;
  readingsWaiting: number;
}

/** What became of one item. */
export enum ItemOutcome {
  Stored = 0,
  /** The same bytes are there. */
  Duplicate = 1,
  /** Other bytes are there. */
  Fork = 2,
  /** A thinned batch, of whose originals one is there: its readings would be stored twice. Nothing of it is stored. */
  Superseded = 3,
}

export type DeviceCommitOutcome =
  /** `items` has an {@link ItemOutcome} per item; `position` is the device's commit position of this group. */
  | { outcome: 'committed'; items: Uint8Array; position: number }
  /** Another start of the device has registered since. */
  | { outcome: 'fenced' };

/** Rollups of finite values, as parallel columns; a row of the same key is merged, not replaced. */
export interface RollupColumns {
  length: number;
  deviceId: Float64Array;
  seriesId: Float64Array;
  /** 60 or 900. */
  stepSeconds: Float64Array;
  /** Start of the bucket in seconds since the Unix epoch. */
  start: Float64Array;
  count: Float64Array;
  min: Float64Array;
  max: Float64Array;
  mean: Float64Array;
  m2: Float64Array;
  first: Float64Array;
  firstUs: Float64Array;
  last: Float64Array;
  lastUs: Float64Array;
}

/** State of one rule for one series, between restarts. */
export interface RuleStateRow {
  deviceId: number;
  seriesId: number;
  rule: string;
  state: string;
}

export interface RuleStateFilter {
  deviceId?: number;
  rule?: string;
}

/**
 * What follows from committed data. It is saved with the positions up to which it follows, in one transaction, so that a
 * restart takes up exactly there.
 */
export interface Derived {
  marks: readonly NewMark[];
  rollups: RollupColumns;
  ruleStates: readonly RuleStateRow[];
}

/** To where a device's mark moves. */
export interface NewMark {
  deviceId: number;
  position: number;
  /**
   * Where it stands, as far as whoever saves knows. If it stands elsewhere, another process has moved it, and nothing of
   * this device is saved. Where it is absent the mark only never goes back.
   */
  from?: number;
}

/** Up to where what follows from a device's commits is saved. */
export interface DerivedMark {
  deviceId: number;
  position: number;
  /**
   * Rollups that a rebuild has kept, because not all of their readings are there any more: of the commits up to this
   * position, what begins before this time is in them.
   */
  kept: { position: number; beforeUs: number } | undefined;
}

/** A stored incident transition; `number` is 0 for late ones, which no device is sent. */
export interface AlertRecord {
  deviceId: number;
  seriesId: number;
  alert: Alert;
  /**
   * What it follows from: a number that grows with each commit of the device, and each time that its history was judged
   * anew. A correction that is known already changes nothing, unless it follows from a
   * later commit than it did before and the incident shows something else now: an end may move and move back.
   */
  position?: number;
  /**
   * Set by whoever has judged history anew: what is known of the incident now, beside the beginning that the alert says. The
   * incident then shows exactly that, also where it had ended and goes on, unless a later commit has said otherwise. What
   * was told is not told again.
   */
  exact?: { firedAtUs: number; resolvedAtUs: number | undefined };
}

/** Committed items of one device, in commit order. */
export interface StoredItems {
  deviceId: number;
  epochId: number;
  /** 16 bytes. */
  epoch: Uint8Array;
  /** Commit position. */
  position: number;
  items: CheckedItem[];
}

export interface ReadingsRange {
  deviceId: number;
  /** Half open, microseconds since the Unix epoch. */
  fromUs: number;
  untilUs: number;
}

/**
 * Where a collector keeps everything. Asynchronous, and shared: other processes may commit to the same store, so what a
 * transaction must know it reads in that transaction. Every method rejects with a {@link StoreError} when the store is
 * away, full or broken; nothing of that call has then happened.
 */
export interface Store extends IncidentStore {
  /** Interns the device, its epochs, series and segments; a start id that is new takes the device over. */
  register(registration: Registration): Promise<RegistrationOutcome>;
  /** Drops duplicates, finds forks, writes items, interval sets, ledger and counters of many devices; on disk when it resolves. */
  commit(devices: readonly DeviceCommit[], nowUs: number): Promise<DeviceCommitOutcome[]>;

  /** Devices that have items after their derived mark, with the mark. */
  undigested(): Promise<DerivedMark[]>;
  /** Items after a position, whole commits, about `maxBytes` of them; empty at the end. */
  readAfter(deviceId: number, position: number, maxBytes: number): Promise<StoredItems[]>;
  /** Answers the devices of which nothing was saved, because their mark was not where it was said to be. */
  saveDerived(derived: Derived): Promise<number[]>;
  /** Up to where the commits of devices are digested, of one or of all. */
  derivedMarks(deviceId?: number): Promise<DerivedMark[]>;
  /**
   * Devices, or one, with the earliest beginning of incidents that follow from the commit of their derived mark or a later
   * one: whoever said so may have ended before it saved what it knew. `versions` is how many values of
   * {@link AlertRecord.position} each commit has.
   */
  unsettledIncidents(versions: number, deviceId?: number): Promise<{ deviceId: number; startedAtUs: number }[]>;
  /**
   * Of all devices or of one; of all rules, or one row by its name. Rows whose name begins with # are large, and answered
   * only by name.
   */
  loadRuleStates(filter?: RuleStateFilter): Promise<RuleStateRow[]>;
  /** For a rebuild: sets every mark to 0 and forgets the rollups of all time whose readings are still there. */
  clearRollups(): Promise<void>;

  /**
   * Numbers and stores transitions that are not there yet; answers those, with their numbers. One that is not late is there
   * once an incident and state; a late one once an incident, state, beginning, time and `retracted`. In the same
   * transaction the incident follows: the earliest beginning counts, the newest word on the end, and a retraction ends it;
   * and what is not late waits for each receiver. The end of an incident that its device evaluates is late exactly if its
   * beginning was, whatever it says of itself. `nowUs` is the collector's clock, for the incident's history.
   */
  appendAlerts(alerts: readonly AlertRecord[], nowUs: number): Promise<AlertRecord[]>;
  /** Alerts of a device with a number above the cursor, in order. */
  readAlerts(deviceId: number, cursor: number, limit: number): Promise<Alert[]>;
  /**
   * A device watches from this cursor. Where it is above every number that was given, the store has been put back to an
   * earlier state: numbers then go on above the cursor, also those of alerts that the device has not acknowledged, so
   * that it misses none. Answers whether that was so.
   */
  resumeAlerts(deviceId: number, cursor: number): Promise<boolean>;
  /** The device has all alerts up to there; each is noted as delivered in its incident's history. */
  acknowledgeAlerts(deviceId: number, cursor: number, nowUs: number): Promise<void>;
  /** In the order in which they were stored; by transition time where a range is given. `next` is 0 at the end. */
  listAlerts(
    filter: { deviceId?: number; range?: { fromUs: number; untilUs: number }; firingOnly: boolean },
    after: number,
    limit: number,
  ): Promise<{ alerts: Alert[]; next: number }>;

  findDevice(name: DeviceName): Promise<number | undefined>;
  listDevices(afterDeviceId: number, limit: number): Promise<(Device & { deviceId: number })[]>;
  listSeries(deviceId: number): Promise<StoredSeries[]>;
  /** The catalogue of an epoch, by the device's id. */
  catalogue(deviceId: number, epochId: number): Promise<(CatalogueSeries | undefined)[]>;
  /**
   * Batches whose event time touches the range, in order of their first event time, in pages of about `maxBytes`; `after`
   * is '' at first and then the last page's `next`, which is '' at the end.
   */
  readRange(range: ReadingsRange, after: string, maxBytes: number): Promise<{ items: StoredItems[]; next: string }>;
  /** Rows whose start is in the range, in order; at most 100,000 of them, so a longer range is asked for in parts. */
  readRollups(
    deviceId: number,
    seriesId: number,
    stepSeconds: 60 | 900,
    fromUs: number,
    untilUs: number,
  ): Promise<RollupColumns>;
  /** Walks every stored item of a device (or of all) and compares it with the interval sets and the ledger. */
  audit(deviceId: number | undefined): Promise<EpochAudit[]>;

  /**
   * Removes digested items whose last event time is before this, as ledger reason `expired`; answers readings removed.
   * What has no time of its own goes with the batches around it. What is not digested stays until it is.
   */
  expire(beforeUs: number): Promise<number>;
  /**
   * Removes rollups that begin before one time, and incidents that ended before another, with their alerts and histories,
   * but none that still fires; silences that ended before then go too. Answers how many rollups and alerts.
   */
  expireDerived(rollupsBeforeUs: number, alertsBeforeUs: number): Promise<{ rollups: number; alerts: number }>;
  /**
   * Writes something that changes nothing, durably: whether the store takes commits again. Rejects with what a commit would.
   */
  probe(): Promise<void>;
  /** Merges small neighbours that are digested; answers bytes saved. */
  compact(): Promise<number>;
  close(): Promise<void>;
}

export interface StoredSeries {
  seriesId: number;
  deviceId: number;
  name: string;
  unit: string;
  labels: Record<string, string>;
  type: ValueType;
}
