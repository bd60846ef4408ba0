import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { Onset } from '@tributary/core/rules/incident-id';
import type { RuleInstance } from '@tributary/core/rules/rule-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { ColumnType } from '@tributary/proto/batch/batch';
import type { DeviceName } from '../store/store.js';
import type { CheckpointHead } from './checkpoint-head.js';
import type { DeviceLine } from './device-line.js';

/** An incident that fires, as it stands in the store. */
export interface OpenIncident {
  /**
   * The onset that the rule knows it by. The id is the hash of it, unless history has shown that an incident which was told
   * of began earlier: then the id stays the one that was told.
   */
  onset: Onset;
  id: Uint8Array;
  /** What it is about: of a rule over a device the series that completed it. */
  series: SeriesIdentity;
  startedAtUs: number;
  firedAtUs: number;
  /** Somebody was told that it fires, and must be told of its end. */
  notified: boolean;
}

/** One rule for one series, or for one device. */
export interface Cell {
  readonly rule: CompiledRule;
  /** 0 for a rule over a device. */
  readonly seriesId: number;
  readonly identity: SeriesIdentity;
  instance: RuleInstance;
  incident: OpenIncident | undefined;
  /** The id of what is pending, where it was recorded as an incident before and is none by now. */
  takenBack: Uint8Array | undefined;
  /** The rule judges what is later than this: it is younger than what its series has. */
  beginUs: number;
  /** Of a rule over a device: the newest reading that it was shown, microseconds; of others that of the track. */
  timeUs: number;
  /** Of a rule over a device: the newest of its readings came in the live lane. */
  isLive: boolean;
  /** The revision of the instance that was saved last; -1 for what was never saved. */
  savedRevision: number;
  /** Something beside the instance has changed. */
  changed: boolean;
}

/** A series as a member of a rule over its device. */
export interface Membership {
  readonly cell: Cell;
  /** What the rule calls it. */
  readonly member: number;
}

/** What rules know of one series that some of them watch. */
export interface SeriesTrack {
  readonly deviceId: number;
  readonly seriesId: number;
  readonly identity: SeriesIdentity;
  readonly type: ColumnType;
  cells: Cell[];
  memberships: Membership[];
  /** Some cell or member must be told that time passes. */
  watchesTime: boolean;
  /** Event time of the newest reading, microseconds since the Unix epoch. */
  timeUs: number;
  /** Of that reading: its epoch in hexadecimal digits, and whether it came in the live lane. */
  epoch: string;
  isLive: boolean;
  changed: boolean;
}

/** What must be judged anew of a device. */
export interface Dirt {
  /** Everything later than this event time, microseconds. */
  afterUs: number;
  /** When it was first and last found, of a clock that only goes on, milliseconds. */
  sinceMs: number;
  newsMs: number;
}

/** What rules know of one device. */
export interface DeviceTrack {
  readonly deviceId: number;
  readonly name: DeviceName;
  attributes: Readonly<Record<string, string>>;
  line: DeviceLine;
  /** Series that some rule watches, by id. */
  readonly tracks: Map<number, SeriesTrack>;
  /** Rules over the device. */
  deviceCells: Cell[];
  /** Those of all rules that must be told that time passes. */
  timeCells: Cell[];
  /** Rules that watch when the device was last heard of. */
  watchCells: Cell[];
  /** Series that no rule watches, with the count of reloads by which that was found. */
  readonly unwatched: Map<number, number>;
  /** How far the device had come when the rules were last replaced. */
  reloadedUs: number;
  /** No live reading at or before this event time is still to come. */
  toldUs: number;
  /** The newest of its commits that was digested, and how often history was judged anew since. */
  position: number;
  passes: number;
  dirt: Dirt | undefined;
  checkpoints: CheckpointHead[];
  /** Bodies of checkpoints that are not saved yet, by their number. */
  readonly newCheckpoints: Map<number, string>;
  /** Rules that are no longer in force, whose rows in the store are to say so. */
  readonly gone: Map<string, { seriesId: number; rule: string }>;
  changed: boolean;
}

/** Passes through history at one commit that are told apart; more of them take each other's words for the same. */
export const VERSIONS_A_COMMIT = 1024;

/** Counts up with each commit of a device and each pass through its history: what is said later of an incident counts. */
export function versionOf({ position, passes }: DeviceTrack): number {
  return position * VERSIONS_A_COMMIT + Math.min(passes, VERSIONS_A_COMMIT - 1);
}

/** The next commit of a device is digested. */
export function moveTo(device: DeviceTrack, position: number): void {
  if (position === device.position) return;
  device.position = position;
  device.passes = 0;
}

/** Event time of the newest reading of any series, or up to which it was told that time has passed. */
export function frontierOf(device: DeviceTrack): number {
  let frontierUs = device.toldUs;
  for (const track of device.tracks.values()) if (track.timeUs > frontierUs) frontierUs = track.timeUs;
  return frontierUs;
}

/** Notes that what is later than `afterUs` must be judged anew. */
export function soil(device: DeviceTrack, afterUs: number, nowMs: number): void {
  const { dirt } = device;
  device.changed = true;
  if (dirt === undefined) device.dirt = { afterUs, sinceMs: nowMs, newsMs: nowMs };
  else {
    dirt.newsMs = nowMs;
    if (afterUs < dirt.afterUs) dirt.afterUs = afterUs;
  }
}

/** All rules of a device, whatever they are about. */
export function* cellsOf(device: DeviceTrack): Iterable<Cell> {
  yield* device.deviceCells;
  for (const track of device.tracks.values()) yield* track.cells;
}

/** Whether the newest reading that the rule has seen came in the live lane. */
export function isLive(device: DeviceTrack, cell: Cell): boolean {
  return cell.seriesId === 0 ? cell.isLive : device.tracks.get(cell.seriesId)?.isLive === true;
}

export function newCell(
  rule: CompiledRule,
  seriesId: number,
  identity: SeriesIdentity,
  beginUs = Number.NEGATIVE_INFINITY,
): Cell {
  return {
    rule,
    seriesId,
    identity,
    instance: rule.newInstance(identity),
    incident: undefined,
    takenBack: undefined,
    beginUs,
    timeUs: Number.NEGATIVE_INFINITY,
    isLive: false,
    savedRevision: -1,
    changed: true,
  };
}
