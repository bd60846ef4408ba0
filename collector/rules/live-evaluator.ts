import type { Transition } from '@tributary/core/rules/rule-instance';
import type { SeriesReadings } from '@tributary/core/rules/series-readings';
import type { SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CommittedBatch, CommittedNote, Watermark } from '../ingest/committed.js';
import type { AlertMaker } from './alert-maker.js';
import { readEarlier, takeCheckpointBeforeJump } from './checkpoint.js';
import { Place } from './device-line.js';
import { MergeBuffer } from './merge-buffer.js';
import { OrderedReadings } from './ordered-readings.js';
import type { RuleHost } from './rule-host.js';
import { type Cell, cellsOf, type DeviceTrack, frontierOf, isLive, moveTo, type SeriesTrack, soil } from './tracks.js';

/**
 * Moves rules forward over what is committed, as it comes. Synchronous and without I/O; nothing is allocated for a reading.
 *
 * What it finds is what a walk through everything in order of time would find (see `history-walk.ts`), as long as items come
 * in the order of their epochs and readings in order of time. Whatever comes otherwise is not judged here: it is noted as
 * dirt, and the device is judged anew from before it.
 */
export class LiveEvaluator {
  /** Readings that rules did not see as they came, because later ones had come before. */
  readingsPostponed = 0;

  readonly #host: RuleHost;
  readonly #maker: AlertMaker;
  readonly #nowMs: () => number;
  readonly #readings = new OrderedReadings();
  readonly #transitions: Transition[] = [];
  readonly #merged = new Map<Cell, MergeBuffer>();
  readonly #spareBuffers: MergeBuffer[] = [];
  /** Epochs as texts: the bytes of one device's epoch are the same object in all of its items. */
  readonly #texts = new WeakMap<Uint8Array, string>();
  #origin = { epoch: '', sequence: 0 };
  #device: DeviceTrack | undefined;
  #place = Place.Next;
  #isLive = true;

  constructor(host: RuleHost, maker: AlertMaker, nowMs: () => number) {
    this.#host = host;
    this.#maker = maker;
    this.#nowMs = nowMs;
  }

  /** Takes up a batch; its columns follow by `evaluate`, then `close`. One from the future has columns for nobody. */
  open(batch: CommittedBatch, isFuture: boolean): void {
    const device = this.#host.device(batch.deviceId);
    this.#device = device;
    moveTo(device, batch.position);
    this.#isLive = batch.lane !== Lane.BACKFILL;
    const epoch = this.#textOf(batch.epoch);
    // An instance may keep the origin of a reading: each batch has its own.
    this.#origin = { epoch, sequence: batch.sequence };
    if (isFuture) {
      // The next one will find what is missing before it.
      device.line.noteFuture(epoch, batch.sequence, this.#nowMs());
      this.#mend(device);
      return;
    }
    this.#place = device.line.place(epoch, batch.epoch, batch, this.#nowMs());
    if (this.#place === Place.Jump) this.#jump(device, batch.firstUs);
    this.#mend(device);
  }

  /** Notes an item without readings. */
  note(note: CommittedNote): void {
    const device = this.#host.device(note.deviceId);
    device.line.note(this.#textOf(note.epoch), note, this.#nowMs());
    this.#mend(device);
  }

  evaluate(seriesId: number, declaration: SeriesDeclaration, readings: SeriesReadings): void {
    const device = this.#device!;
    const track = this.#host.trackOf(device, seriesId, declaration);
    if (track === undefined || readings.count === 0) return;
    if (this.#place === Place.Past) {
      this.readingsPostponed += readings.count;
      soil(device, earliest(readings) - 1, this.#nowMs());
      return;
    }
    const forward = this.#readings;
    const frontierUs = track.watchesTime ? Math.max(track.timeUs, device.toldUs) : track.timeUs;
    const behind = forward.admit(readings, frontierUs);
    if (behind > 0) this.#postpone(device, track, behind);
    const { from, count } = forward;
    if (from === count) return;
    const firstUs = forward.timesUs[from]!;
    if (firstUs <= (device.checkpoints.at(-1)?.timeUs ?? Number.NEGATIVE_INFINITY)) readEarlier(device, firstUs);
    for (const cell of track.cells) this.#move(device, cell, from, count);
    for (const { cell, member } of track.memberships) {
      this.#mergeBufferOf(cell).add(member, forward, from, count, this.#origin);
    }
    track.timeUs = forward.timesUs[count - 1]!;
    track.epoch = this.#origin.epoch;
    track.isLive = this.#isLive;
    track.changed = true;
  }

  /** Ends a batch. */
  close(): void {
    if (this.#merged.size === 0) return;
    for (const [cell, merged] of this.#merged) {
      this.#moveMerged(this.#device!, cell, merged);
      merged.clear();
      this.#spareBuffers.push(merged);
    }
    this.#merged.clear();
  }

  /**
   * Time passes, where all that the device had produced by then is here or known to be in a hole: what waits on the device
   * as backfill would be judged absent.
   */
  watermark({ deviceId, untilUs, epoch, readingsProduced, nowUs }: Watermark): void {
    const device = this.#host.device(deviceId);
    if (device.timeCells.length === 0) return;
    const line = device.line.epochs.get(this.#textOf(epoch));
    if (line === undefined || !(line.readingsEnd >= readingsProduced)) return;
    // A reading of that very moment may still come.
    const toldUs = Math.min(untilUs, nowUs) - 1;
    if (toldUs <= device.toldUs) return;
    device.toldUs = toldUs;
    device.changed = true;
    this.#confirmAbsences(device, toldUs);
    this.#passTime(device, toldUs, true);
  }

  /** What came was missing before something that was judged already, whose times may be earlier. */
  #mend(device: DeviceTrack): void {
    const { mendedUs } = device.line;
    if (mendedUs !== Number.POSITIVE_INFINITY) soil(device, mendedUs - 1, this.#nowMs());
  }

  #textOf(epoch: Uint8Array): string {
    let text = this.#texts.get(epoch);
    if (text === undefined) {
      text = Buffer.from(epoch.buffer, epoch.byteOffset, epoch.byteLength).toString('hex');
      this.#texts.set(epoch, text);
    }
    return text;
  }

  /**
   * Readings are missing between what came so far and what comes now. What the rules know now is kept, as the beginning of
   * the walk that will judge the hole; up to its left edge time has passed for all of them.
   */
  #jump(device: DeviceTrack, firstUs: number): void {
    if (device.tracks.size === 0) return;
    const frontierUs = frontierOf(device);
    if (frontierUs === Number.NEGATIVE_INFINITY) return;
    // What is older than what the rules have come to is history, whatever is missing before it.
    if (firstUs <= frontierUs) {
      soil(device, firstUs - 1, this.#nowMs());
      return;
    }
    takeCheckpointBeforeJump(device, frontierUs);
    const { epoch, first, lastUs } = device.line.beforeJump;
    if (device.toldUs > lastUs) device.line.epochs.get(epoch)?.noteTold(first, device.toldUs);
    this.#passTime(device, Math.min(Number.isFinite(lastUs) ? lastUs : frontierUs, firstUs - 1), this.#isLive);
    for (const cell of cellsOf(device)) {
      cell.instance.interrupt();
      cell.instance.resume(firstUs, this.#transitions);
      this.#went(device, cell, false, Number.POSITIVE_INFINITY);
    }
    soil(device, frontierUs, this.#nowMs());
  }

  /** Readings at or before what the rules have come to. The same instant again, of one epoch, is a reading too many. */
  #postpone(device: DeviceTrack, track: SeriesTrack, behind: number): void {
    const firstUs = this.#readings.timesUs[0]!;
    if (behind === 1 && firstUs === track.timeUs && track.epoch === this.#origin.epoch) return;
    this.readingsPostponed += behind;
    soil(device, firstUs - 1, this.#nowMs());
  }

  #move(device: DeviceTrack, cell: Cell, from: number, count: number): void {
    const { incident } = cell;
    if (incident === undefined || incident.notified || !this.#isLive) {
      this.#advance(device, cell, from, count);
      return;
    }
    // Decided by one reading, so that it does not matter where the batch was cut.
    this.#advance(device, cell, from, from + 1);
    const { timesUs, values } = this.#readings;
    if (cell.incident === incident) this.#maker.confirm(device, cell, incident, timesUs[from]!, values[from]!);
    if (from + 1 < count) this.#advance(device, cell, from + 1, count);
  }

  #advance(device: DeviceTrack, cell: Cell, from: number, count: number): void {
    const forward = this.#readings;
    forward.from = from;
    forward.count = count;
    cell.instance.advance(forward, this.#origin, this.#transitions);
    if (this.#transitions.length > 0) this.#went(device, cell, this.#isLive, forward.timesUs[from]!);
  }

  #moveMerged(device: DeviceTrack, cell: Cell, merged: MergeBuffer): void {
    merged.sort();
    const earliestUs = merged.timesUs[0]!;
    const behind = merged.dropBefore(Math.max(cell.timeUs, device.toldUs + 1));
    if (behind > 0) {
      this.readingsPostponed += behind;
      soil(device, earliestUs - 1, this.#nowMs());
    }
    if (merged.count === 0) return;
    const { incident } = cell;
    cell.instance.advanceMerged(merged, this.#transitions);
    if (this.#transitions.length > 0) this.#went(device, cell, this.#isLive, merged.timesUs[0]!);
    cell.timeUs = merged.timesUs[merged.count - 1]!;
    cell.isLive = this.#isLive;
    if (this.#isLive && incident !== undefined && !incident.notified && cell.incident === incident) {
      const last = merged.count - 1;
      this.#maker.confirm(device, cell, incident, merged.timesUs[last]!, merged.values[last]!);
    }
  }

  /** Closes what is due; a beginning that it brings is told where `notifies` and the newest reading came in the live lane. */
  #passTime(device: DeviceTrack, untilUs: number, notifies: boolean): void {
    for (const cell of device.timeCells) {
      if (cell.instance.dueUs > untilUs) continue;
      cell.instance.passTime(untilUs, this.#transitions);
      if (this.#transitions.length > 0) this.#went(device, cell, notifies, Number.POSITIVE_INFINITY);
    }
  }

  /** No reading will confirm that a series is absent: a later watermark does. */
  #confirmAbsences(device: DeviceTrack, toldUs: number): void {
    for (const cell of device.timeCells) {
      const { incident } = cell;
      if (incident === undefined || incident.notified) continue;
      if (cell.rule.rule.absent !== undefined) this.#maker.confirm(device, cell, incident, toldUs, Number.NaN);
    }
  }

  /** What was due before the reading of `readUs` was decided by the readings before it, which may have come as backfill. */
  #went(device: DeviceTrack, cell: Cell, notifies: boolean, readUs: number): void {
    for (const transition of this.#transitions) {
      this.#maker.went(device, cell, transition, notifies && (transition.atUs >= readUs || isLive(device, cell)));
    }
    this.#transitions.length = 0;
  }

  #mergeBufferOf(cell: Cell): MergeBuffer {
    let merged = this.#merged.get(cell);
    if (merged === undefined) {
      merged = this.#spareBuffers.pop() ?? new MergeBuffer();
      this.#merged.set(cell, merged);
    }
    return merged;
  }
}

function earliest(readings: SeriesReadings): number {
  const { count, timesUs, ascending } = readings;
  let first = timesUs[0]!;
  if (!ascending) for (let at = 1; at < count; at += 1) if (timesUs[at]! < first) first = timesUs[at]!;
  return first;
}
