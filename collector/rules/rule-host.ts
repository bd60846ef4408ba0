import { alertOf } from '@tributary/core/rules/alert-of';
import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import { Forward } from '@tributary/core/rules/forward';
import type { Onset } from '@tributary/core/rules/incident-id';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { SeriesReadings } from '@tributary/core/rules/series-readings';
import type { SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CommittedBatch } from '../ingest/committed.js';
import type { AlertRecord, DeviceName } from '../store/store.js';
import { DeviceLine, type Hole, type Place } from './device-line.js';
import { type Cell, type HistoryPass, newCell, newPass, type SeriesTrack, snapshot } from './series-track.js';

export interface DeviceTrack {
  name: DeviceName;
  line: DeviceLine;
  /** Tracks of series that some rule watches. */
  tracks: SeriesTrack[];
}

/**
 * Evaluates rules over committed batches. Synchronous and without I/O: batches go in, alerts come out of `emit`.
 *
 * What is ahead of everything before it, by sequence, moves the state of a series forward. What live data has jumped over
 * is judged in passes of their own when it comes; their incidents are late. Backfill never notifies anybody, but the end
 * of an incident that a device was told of is always told.
 */
export class RuleHost {
  /** Readings that rules did not see because later ones had come before. */
  readingsIgnored = 0;

  readonly devices = new Map<number, DeviceTrack>();
  readonly series = new Map<number, SeriesTrack>();
  readonly #rules: readonly CompiledRule[];
  readonly #emit: (record: AlertRecord) => void;
  readonly #forward = new Forward();
  readonly #transitions: Transition[] = [];
  readonly #origin = { epoch: '', sequence: 0 };
  #device: DeviceTrack | undefined;
  #place: Place = { kind: 'forward' };
  #live = true;

  constructor(rules: readonly CompiledRule[], emit: (record: AlertRecord) => void) {
    this.#rules = rules;
    this.#emit = emit;
  }

  get rules(): readonly CompiledRule[] {
    return this.#rules;
  }

  knows(deviceId: number): boolean {
    return this.devices.has(deviceId);
  }

  /** Names a device; needed before its first batch. */
  introduce(deviceId: number, name: DeviceName): DeviceTrack {
    let device = this.devices.get(deviceId);
    if (device === undefined) {
      device = { name, line: new DeviceLine(), tracks: [] };
      this.devices.set(deviceId, device);
    }
    return device;
  }

  /** Takes up a batch; its columns follow by `evaluate`, then `close`. */
  open(batch: CommittedBatch): void {
    const device = this.devices.get(batch.deviceId);
    if (device === undefined) throw new RangeError(`device ${batch.deviceId} was not introduced`);
    this.#device = device;
    this.#live = batch.lane !== Lane.BACKFILL;
    this.#origin.epoch = Buffer.from(batch.epoch).toString('hex');
    this.#origin.sequence = batch.sequence;
    this.#place = device.line.place(batch.epochId, batch.lineSequence, this.#live, (hole) =>
      this.#finish(device, hole),
    );
  }

  evaluate(deviceId: number, seriesId: number, declaration: SeriesDeclaration, readings: SeriesReadings): void {
    const track = this.series.get(seriesId) ?? this.track(deviceId, seriesId, declaration);
    if (track.cells.length === 0) return;
    if (this.#place.kind === 'forward') {
      this.#evaluateForward(track, readings, true);
      return;
    }
    const { hole } = this.#place;
    // A series that has had nothing since the hole opened: what fills the hole is ahead of its state.
    if (!hole.fresh && track.generation < hole.generation) this.#evaluateForward(track, readings, false);
    else this.#evaluateHistory(track, hole, readings);
  }

  /** Ends a batch. */
  close(): void {
    if (this.#place.kind !== 'history') return;
    for (const hole of this.#place.complete) this.#finish(this.#device!, hole);
  }

  /** The track of a series, made at first sight: only then is it matched with the rules. */
  track(
    deviceId: number,
    seriesId: number,
    declaration: Pick<SeriesDeclaration, 'name' | 'unit' | 'labels'>,
  ): SeriesTrack {
    const device = this.devices.get(deviceId)!;
    const { name, unit, labels } = declaration;
    const identity: SeriesIdentity = { tenant: device.name.tenant, device: device.name.device, name, unit, labels };
    const track: SeriesTrack = {
      deviceId,
      seriesId,
      identity,
      timeUs: Number.NEGATIVE_INFINITY,
      generation: 0,
      cells: this.#rules.filter((rule) => rule.selects(identity, {})).map((rule) => newCell(rule, identity)),
      passes: [],
      changed: false,
    };
    this.series.set(seriesId, track);
    if (track.cells.length > 0) device.tracks.push(track);
    return track;
  }

  #evaluateForward(track: SeriesTrack, readings: SeriesReadings, ahead: boolean): void {
    const forward = this.#forward;
    this.readingsIgnored += forward.admit(readings, track.timeUs);
    const { from, count } = forward;
    if (from === count) return;
    const { line } = this.#device!;
    const afterHole = ahead && track.generation !== line.generation;
    if (afterHole) {
      for (const hole of line.holes) {
        if (hole.generation > track.generation && !hole.fresh) snapshot(track, hole.generation);
      }
      track.generation = line.generation;
    }
    for (const cell of track.cells) this.#moveCell(track, cell, from, count, afterHole);
    track.timeUs = forward.timesUs[count - 1]!;
    track.changed = true;
  }

  #moveCell(track: SeriesTrack, cell: Cell, from: number, count: number, afterHole: boolean): void {
    const { state } = cell;
    const { phase, onset, revision } = state;
    if (afterHole && phase === 'inactive') {
      this.#move(track, cell, from, from + 1);
      cell.touch = state.onset && { generation: track.generation, onset: state.onset, fired: state.phase === 'firing' };
      this.#move(track, cell, from + 1, count);
      cell.changed = true;
    } else if (phase === 'firing' && !cell.notified && this.#live) {
      // Decided by one reading, so that it does not matter where the batch was cut.
      this.#move(track, cell, from, from + 1);
      if (state.onset === onset) this.#notify(track, cell, from);
      this.#move(track, cell, from + 1, count);
      cell.changed = true;
    } else {
      this.#move(track, cell, from, count);
      if (state.revision !== revision) cell.changed = true;
    }
  }

  #move(track: SeriesTrack, cell: Cell, from: number, count: number): void {
    const forward = this.#forward;
    const transitions = this.#transitions;
    forward.from = from;
    forward.count = count;
    cell.state.advance(forward, this.#origin, transitions);
    if (transitions.length === 0) return;
    for (const transition of transitions) {
      if (transition.to === 'firing') {
        cell.notified = this.#live;
        if (cell.touch !== undefined && sameOnset(cell.touch.onset, transition.onset)) cell.touch.fired = true;
      }
      this.#emitAlert(track, cell, transition, !cell.notified);
      if (transition.to === 'resolved') cell.notified = false;
    }
    transitions.length = 0;
  }

  /** An incident that began in backfill goes on now: the device is told, under the id that it has. */
  #notify(track: SeriesTrack, cell: Cell, index: number): void {
    const { onset, sinceUs } = cell.state;
    const { timesUs, values } = this.#forward;
    cell.notified = true;
    const transition: Transition = {
      to: 'firing',
      onset: onset!,
      startedAtUs: sinceUs,
      atUs: timesUs[index]!,
      value: values[index]!,
      series: track.identity,
    };
    this.#emitAlert(track, cell, transition, false);
  }

  #evaluateHistory(track: SeriesTrack, hole: Hole, readings: SeriesReadings): void {
    let pass = track.passes.find(({ generation }) => generation === hole.generation);
    if (pass === undefined) {
      pass = newPass(hole.generation, track);
      track.passes.push(pass);
    }
    const forward = this.#forward;
    this.readingsIgnored += forward.admit(readings, pass.timeUs);
    const { from, count } = forward;
    if (from === count) return;
    const transitions = this.#transitions;
    for (const [index, cell] of track.cells.entries()) {
      forward.from = from;
      forward.count = count;
      pass.states[index]!.advance(forward, this.#origin, transitions);
      for (const transition of transitions) {
        // The end of an incident that the device knows of is for the live state to tell.
        if (!pass.inherited[index]) this.#emitAlert(track, cell, transition, true);
        pass.inherited[index] = false;
      }
      transitions.length = 0;
    }
    pass.timeUs = forward.timesUs[count - 1]!;
    pass.value = forward.values[count - 1]!;
    track.changed = true;
  }

  /** Nothing more comes for a hole: history ends there. */
  #finish(device: DeviceTrack, hole: Hole): void {
    for (const track of device.tracks) {
      const at = track.passes.findIndex(({ generation }) => generation === hole.generation);
      const [pass] = at < 0 ? [] : track.passes.splice(at, 1);
      for (const [index, cell] of track.cells.entries()) {
        if (pass !== undefined) this.#finishPass(track, cell, pass, index);
        if (cell.touch?.generation === hole.generation) {
          cell.touch = undefined;
          cell.changed = true;
        }
      }
      if (pass !== undefined) track.changed = true;
    }
  }

  #finishPass(track: SeriesTrack, cell: Cell, pass: HistoryPass, index: number): void {
    const state = pass.states[index]!;
    if (state.onset === undefined || pass.inherited[index] || !Number.isFinite(pass.timeUs)) return;
    if (cell.state.onset !== undefined && sameOnset(cell.state.onset, state.onset)) return;
    const end = { startedAtUs: state.sinceUs, atUs: pass.timeUs, value: pass.value, series: track.identity };
    if (cell.touch?.generation === pass.generation && cell.touch.fired) {
      // The two are one: the id that the device knows began earlier than it was told.
      this.#emitAlert(track, cell, { to: 'firing', onset: cell.touch.onset, ...end }, true);
    }
    if (state.phase === 'firing') this.#emitAlert(track, cell, { to: 'resolved', onset: state.onset, ...end }, true);
  }

  #emitAlert(track: SeriesTrack, cell: Cell, transition: Transition, late: boolean): void {
    const { deviceId, seriesId } = track;
    this.#emit({ deviceId, seriesId, alert: alertOf(cell.rule, transition, late) });
  }
}

function sameOnset(a: Onset, b: Onset): boolean {
  return a.sequence === b.sequence && a.row === b.row && a.epoch === b.epoch;
}
