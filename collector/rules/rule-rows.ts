import * as v from 'valibot';
import type { RuleStateRow, StoredSeries } from '../store/store.js';
import { cellBodySchema, restoreIncident, saveCell, takeCheckpoint } from './checkpoint.js';
import { DeviceLine, type SavedDeviceLine } from './device-line.js';
import type { RuleHost } from './rule-host.js';
import { type Cell, cellsOf, type DeviceTrack, frontierOf, type OpenIncident, soil } from './tracks.js';

/*
 * How what rules know lies in the store, one text a row:
 *   series 0, rule ''    of the device: the order of its items, what must be judged anew, its checkpoints' heads
 *   series 0, rule '#n'  the body of checkpoint n; empty for none. Rules have no such names
 *   series s, rule ''    how far the series has come
 *   series s, rule r     one rule's state for the series; series 0 for a rule over the device
 */

const NO_SERIES = 0;
const NO_RULE = '';
const CHECKPOINT_MARK = '#';

/**
 * Regular checkpoints are this far apart in event time. What comes late without having left a hole before it (from a clock
 * that went back, or from another copy of a buffer) is judged from the last of them: some 20,000 readings of a series that has
 * one a second.
 */
const CHECKPOINT_EVERY_US = 6 * 3600e6;

const pairs = v.array(v.tuple([v.number(), v.number()]));

const deviceSchema = v.object({
  line: v.object({
    epochs: v.array(
      v.tuple([
        v.string(),
        v.object({
          sequence: v.number(),
          readingsEnd: v.nullable(v.number()),
          lastUs: v.nullable(v.number()),
          here: pairs,
          empty: pairs,
          future: v.optional(pairs),
          lost: pairs,
          told: pairs,
          breaks: v.optional(pairs),
        }),
      ]),
    ),
    holes: v.array(v.object({ epoch: v.string(), first: v.number(), last: v.number() })),
  }),
  toldUs: v.nullable(v.number()),
  reloadedUs: v.nullable(v.number()),
  passes: v.number(),
  /** What is later than this must be judged anew; absent where nothing must. */
  dirtyAfterUs: v.optional(v.nullable(v.number())),
  checkpoints: v.array(v.object({ number: v.number(), timeUs: v.number(), readFromUs: v.number(), bytes: v.number() })),
});

const trackSchema = v.object({
  timeUs: v.nullable(v.number()),
  epoch: v.optional(v.string(), ''),
  isLive: v.optional(v.boolean(), false),
});

const cellSchema = v.intersect([
  cellBodySchema,
  v.object({ beginUs: v.optional(v.number()), isLive: v.optional(v.boolean(), false) }),
]);

/** An incident whose rule is gone or was changed while no collector ran: nothing else would end it. */
export interface LeftIncident {
  incident: OpenIncident;
  /** How far its series has come, microseconds. */
  timeUs: number;
}

export function checkpointRow(number: number): string {
  return `${CHECKPOINT_MARK}${number}`;
}

/** What has changed of a device since the last call. */
export function changedRows(device: DeviceTrack): RuleStateRow[] {
  const { deviceId } = device;
  const rows: RuleStateRow[] = [];
  const row = (seriesId: number, rule: string, state: object) =>
    rows.push({ deviceId, seriesId, rule, state: JSON.stringify(state) });
  if (device.tracks.size > 0 && device.dirt === undefined) {
    const frontierUs = frontierOf(device);
    const lastUs = device.checkpoints.at(-1)?.timeUs ?? Number.NEGATIVE_INFINITY;
    if (Number.isFinite(frontierUs) && frontierUs - lastUs >= CHECKPOINT_EVERY_US) takeCheckpoint(device, frontierUs);
  }
  if (device.changed || device.line.changed) {
    row(NO_SERIES, NO_RULE, savedDevice(device));
    device.changed = false;
    device.line.changed = false;
  }
  for (const [number, state] of device.newCheckpoints) {
    rows.push({ deviceId, seriesId: NO_SERIES, rule: checkpointRow(number), state });
  }
  device.newCheckpoints.clear();
  for (const track of device.tracks.values()) {
    if (!track.changed) continue;
    const { timeUs, epoch, isLive } = track;
    row(track.seriesId, NO_RULE, { timeUs: finite(timeUs), epoch, isLive });
    track.changed = false;
  }
  for (const cell of cellsOf(device)) {
    const { instance, beginUs, isLive } = cell;
    if (!cell.changed && instance.revision === cell.savedRevision) continue;
    const body = saveCell(cell, instance.save());
    row(cell.seriesId, cell.rule.name, { ...body, ...(Number.isFinite(beginUs) && { beginUs }), isLive });
    cell.savedRevision = instance.revision;
    cell.changed = false;
    device.gone.delete(`${cell.seriesId}/${cell.rule.name}`);
  }
  for (const { seriesId, rule } of device.gone.values()) rows.push({ deviceId, seriesId, rule, state: '' });
  device.gone.clear();
  return rows;
}

function savedDevice(device: DeviceTrack): v.InferOutput<typeof deviceSchema> {
  const line: SavedDeviceLine = device.line.save();
  return {
    line,
    toldUs: finite(device.toldUs),
    reloadedUs: finite(device.reloadedUs),
    passes: device.passes,
    ...(device.dirt !== undefined && { dirtyAfterUs: finite(device.dirt.afterUs) }),
    checkpoints: device.checkpoints,
  };
}

/**
 * Takes up a device's rows; it must have been introduced. A rule that is unchanged, by version, goes on where it was; one
 * that is new to the device begins with what comes. Answers what rules that are gone or changed have left behind.
 */
export function restoreRows(
  host: RuleHost,
  device: DeviceTrack,
  rows: readonly RuleStateRow[],
  series: ReadonlyMap<number, StoredSeries>,
  position: number,
  nowMs: number,
): LeftIncident[] {
  const states = new Map<string, string>();
  for (const { seriesId, rule, state } of rows) states.set(`${seriesId}/${rule}`, state);
  restoreDevice(device, states.get(`${NO_SERIES}/${NO_RULE}`), position, nowMs);
  for (const { seriesId, rule, state } of rows) {
    const declaration = series.get(seriesId);
    if (rule !== NO_RULE || declaration === undefined) continue;
    const saved = parse(trackSchema, state);
    const track = host.trackOf(device, seriesId, declaration);
    if (saved === undefined || track === undefined) continue;
    track.timeUs = infinite(saved.timeUs);
    track.epoch = saved.epoch;
    track.isLive = saved.isLive;
    track.changed = false;
  }
  const frontierUs = frontierOf(device);
  const taken = new Set<string>();
  for (const cell of cellsOf(device)) {
    const key = `${cell.seriesId}/${cell.rule.name}`;
    const timeUs = cell.seriesId === NO_SERIES ? frontierUs : (device.tracks.get(cell.seriesId)?.timeUs ?? frontierUs);
    if (restoreCell(host, device, cell, states.get(key), timeUs)) taken.add(key);
    // A rule that the device did not have, or had in another version.
    else cell.beginUs = timeUs;
  }
  const left: LeftIncident[] = [];
  for (const { seriesId, rule, state } of rows) {
    if (rule === NO_RULE || rule.startsWith(CHECKPOINT_MARK) || taken.has(`${seriesId}/${rule}`)) continue;
    const incident = parse(cellSchema, state)?.incident;
    if (state !== '') device.gone.set(`${seriesId}/${rule}`, { seriesId, rule });
    if (incident === undefined) continue;
    const timeUs = device.tracks.get(seriesId)?.timeUs ?? frontierUs;
    left.push({ incident: restoreIncident(incident, device.name), timeUs });
  }
  return left;
}

function restoreDevice(device: DeviceTrack, text: string | undefined, position: number, nowMs: number): void {
  const saved = text === undefined ? undefined : parse(deviceSchema, text);
  if (saved === undefined) {
    // Nobody remembers what came: an earlier version wrote it, or there were no rules.
    device.line.assumesPast = position > 0;
    return;
  }
  device.line = DeviceLine.restore(saved.line, nowMs);
  device.toldUs = infinite(saved.toldUs);
  device.reloadedUs = infinite(saved.reloadedUs);
  device.passes = saved.passes;
  device.checkpoints = saved.checkpoints;
  if (saved.dirtyAfterUs !== undefined) soil(device, infinite(saved.dirtyAfterUs), nowMs);
  device.changed = false;
}

function restoreCell(
  host: RuleHost,
  device: DeviceTrack,
  cell: Cell,
  text: string | undefined,
  trackUs: number,
): boolean {
  const saved = text === undefined ? undefined : parse(cellSchema, text);
  if (saved === undefined) return false;
  const instance = cell.rule.restore(saved.saved, cell.identity, Number.isFinite(trackUs) ? trackUs : undefined);
  if (instance === undefined) return false;
  cell.instance = instance;
  cell.incident = saved.incident && restoreIncident(saved.incident, device.name);
  cell.beginUs = saved.beginUs ?? Number.NEGATIVE_INFINITY;
  cell.timeUs = saved.timeUs ?? Number.NEGATIVE_INFINITY;
  cell.isLive = saved.isLive;
  cell.savedRevision = instance.revision;
  cell.changed = false;
  if (cell.seriesId === NO_SERIES) host.rejoin(device, cell);
  return true;
}

/** JSON has no infinity: it becomes null. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function infinite(value: number | null): number {
  return value ?? Number.NEGATIVE_INFINITY;
}

function parse<S extends v.GenericSchema>(schema: S, text: string): v.InferOutput<S> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    // Written by a version that kept it otherwise: the rule begins anew, as after a change.
    return undefined;
  }
}
