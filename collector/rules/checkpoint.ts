import type { SavedInstance } from '@tributary/core/rules/saved-instance';
import { savedInstanceSchema, savedOnsetSchema } from '@tributary/core/rules/saved-instance';
import * as v from 'valibot';
import type { DeviceName } from '../store/store.js';
import type { CheckpointHead } from './checkpoint-head.js';
import type { LinePoint } from './epoch-line.js';
import { type Cell, cellsOf, type DeviceTrack, type OpenIncident } from './tracks.js';

/**
 * Checkpoints of a device. Each hole has one before it, and two regular ones are a quarter of a day apart; the older they
 * are the fewer of them stay, so that whatever comes late is judged from a point at most twice as far back as it must be.
 */
const CHECKPOINTS_MAX = 8;

/** Of all checkpoints of a device: what ten thousand devices with a hundred rules each can have in a store of 20 GB. */
const BYTES_MAX = 2 * 1024 * 1024;

const incidentSchema = v.object({
  onset: savedOnsetSchema,
  id: v.string(),
  series: v.object({ name: v.string(), unit: v.string(), labels: v.record(v.string(), v.string()) }),
  startedAtUs: v.number(),
  firedAtUs: v.number(),
  notified: v.boolean(),
});

export type SavedIncident = v.InferOutput<typeof incidentSchema>;

export const cellBodySchema = v.object({
  saved: savedInstanceSchema,
  incident: v.optional(incidentSchema),
  /** Of a rule over a device. */
  timeUs: v.optional(v.number()),
});

const bodySchema = v.object({
  timeUs: v.number(),
  /** Where the walk through each epoch is. */
  points: v.array(
    v.object({
      epoch: v.string(),
      sequence: v.number(),
      readingsEnd: v.nullable(v.number()),
      lastUs: v.nullable(v.number()),
    }),
  ),
  /** Event time of the newest reading of each series. */
  tracks: v.array(v.tuple([v.number(), v.number()])),
  cells: v.array(v.intersect([v.object({ seriesId: v.number(), rule: v.string() }), cellBodySchema])),
});

/** What rules know of a device at an event time, as JSON can hold it. */
export type CheckpointBody = v.InferOutput<typeof bodySchema>;

export function saveIncident(incident: OpenIncident): SavedIncident {
  const { name, unit, labels } = incident.series;
  return { ...incident, id: Buffer.from(incident.id).toString('hex'), series: { name, unit, labels: { ...labels } } };
}

/** `device` says whose it is. */
export function restoreIncident(saved: SavedIncident, { tenant, device }: DeviceName): OpenIncident {
  return { ...saved, id: Uint8Array.from(Buffer.from(saved.id, 'hex')), series: { tenant, device, ...saved.series } };
}

/** A cell's state; `saved` is the instance's. */
export function saveCell(cell: Cell, saved: SavedInstance): v.InferOutput<typeof cellBodySchema> {
  const { incident, timeUs } = cell;
  return {
    saved,
    ...(incident !== undefined && { incident: saveIncident(incident) }),
    ...(Number.isFinite(timeUs) && { timeUs }),
  };
}

/** The body of a checkpoint of what the rules of a device know now. `points` say where the walk is in each epoch. */
export function bodyOf(
  device: DeviceTrack,
  timeUs: number,
  points: Iterable<readonly [epoch: string, point: LinePoint]>,
): CheckpointBody {
  const cells: CheckpointBody['cells'] = [];
  for (const cell of cellsOf(device)) {
    cells.push({ seriesId: cell.seriesId, rule: cell.rule.name, ...saveCell(cell, cell.instance.save()) });
  }
  const tracks: CheckpointBody['tracks'] = [];
  for (const track of device.tracks.values()) {
    if (Number.isFinite(track.timeUs)) tracks.push([track.seriesId, track.timeUs]);
  }
  return {
    timeUs,
    points: Array.from(points, ([epoch, { sequence, readingsEnd, lastUs }]) => ({
      epoch,
      sequence,
      readingsEnd: Number.isNaN(readingsEnd) ? null : readingsEnd,
      lastUs: Number.isFinite(lastUs) ? lastUs : null,
    })),
    tracks,
    cells,
  };
}

/** What was saved; undefined when it is no checkpoint of this version. */
export function readBody(text: string): CheckpointBody | undefined {
  try {
    const result = v.safeParse(bodySchema, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps what the rules of a device know now, when they have seen everything up to `timeUs`. */
export function takeCheckpoint(device: DeviceTrack, timeUs: number): void {
  if (device.checkpoints.at(-1)?.timeUs === timeUs) return;
  addCheckpoint(device, bodyOf(device, timeUs, device.line.epochs));
}

/** The same when the newest item has jumped, and the rules have not seen it yet. */
export function takeCheckpointBeforeJump(device: DeviceTrack, timeUs: number): void {
  if (device.checkpoints.at(-1)?.timeUs === timeUs) return;
  const { epoch, first: _, ...point } = device.line.beforeJump;
  const points = new Map<string, LinePoint>(device.line.epochs);
  points.set(epoch, point);
  addCheckpoint(device, bodyOf(device, timeUs, points));
}

/** Keeps a checkpoint, later than all that there are, and gives up others where there are too many. */
export function addCheckpoint(device: DeviceTrack, body: CheckpointBody): void {
  const text = JSON.stringify(body);
  const { checkpoints, dirt } = device;
  const taken = new Set(checkpoints.map(({ number }) => number));
  let number = 0;
  while (taken.has(number)) number += 1;
  checkpoints.push({ number, timeUs: body.timeUs, readFromUs: body.timeUs, bytes: text.length });
  device.newCheckpoints.set(number, text);
  device.changed = true;
  // What is needed for what must be judged anew stays, and so does the newest.
  const needed = dirt && checkpoints.findLast(({ timeUs }) => timeUs <= dirt.afterUs);
  for (;;) {
    const bytes = checkpoints.reduce((sum, one) => sum + one.bytes, 0);
    if (checkpoints.length <= CHECKPOINTS_MAX && (bytes <= BYTES_MAX || checkpoints.length <= 2)) return;
    const at = leastUseful(checkpoints, needed);
    const [gone] = checkpoints.splice(at, 1);
    device.newCheckpoints.set(gone!.number, '');
  }
}

/** The one whose going costs least: how much further back a walk would begin, against how far back it is anyway. */
function leastUseful(checkpoints: readonly CheckpointHead[], needed: CheckpointHead | undefined): number {
  const newestUs = checkpoints.at(-1)!.timeUs;
  let found = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [at, one] of checkpoints.entries()) {
    if (one === needed || at === checkpoints.length - 1) continue;
    const before = checkpoints[at - 1]?.timeUs ?? Number.NEGATIVE_INFINITY;
    const cost = (newestUs - before) / (newestUs - one.timeUs + 1);
    // Before the first there is only the beginning of everything: the oldest goes when nothing else can.
    const rated = Number.isFinite(cost) ? cost : Number.MAX_VALUE;
    if (rated < least) {
      least = rated;
      found = at;
    }
  }
  return found;
}

/** Notes that readings from this event time on followed: checkpoints that claim to be later are read from there on. */
export function readEarlier(device: DeviceTrack, firstUs: number): void {
  for (const head of device.checkpoints) {
    if (head.timeUs < firstUs || head.readFromUs <= firstUs) continue;
    head.readFromUs = firstUs;
    device.changed = true;
  }
}

/** The newest checkpoint from which everything later than `afterUs` can be judged; undefined for none. */
export function checkpointFor(device: DeviceTrack, afterUs: number): CheckpointHead | undefined {
  return device.checkpoints.findLast(({ timeUs }) => timeUs <= afterUs);
}

/** Forgets checkpoints later than a time: they lack what must be judged anew. Answers their times. */
export function dropCheckpointsAfter(device: DeviceTrack, timeUs: number): number[] {
  const gone = device.checkpoints.filter((one) => one.timeUs > timeUs);
  device.checkpoints = device.checkpoints.filter((one) => one.timeUs <= timeUs);
  for (const { number } of gone) device.newCheckpoints.set(number, '');
  device.changed = true;
  return gone.map((one) => one.timeUs);
}
