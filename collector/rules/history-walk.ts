import { SeriesReadings } from '@tributary/core/rules/series-readings';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import type { CommittedBatch } from '../ingest/committed.js';
import { type CheckpointBody, restoreIncident } from './checkpoint.js';
import type { CheckpointHead } from './checkpoint-head.js';
import { type LinePoint, lineRange, pass } from './epoch-line.js';
import { OrderedReadings } from './ordered-readings.js';
import type { RuleHost } from './rule-host.js';
import type { Cell, DeviceTrack, SeriesTrack } from './tracks.js';
import { type WalkBreak, WalkCell } from './walk-cell.js';
import { WalkTrack } from './walk-track.js';

/**
 * Judges a device by what is stored of it, in order of event time, from a checkpoint or from the beginning on. What it finds
 * is a function of the stored items alone, however they came: it is the truth that live evaluation is measured by.
 *
 * Items go in in order of their earliest reading. Readings are held back until nothing earlier can come, put in order and
 * shown to instances of the walk's own. Where readings are missing before an item, by the line of its epoch, the instances
 * are interrupted.
 */
export class HistoryWalk {
  readonly cells: WalkCell[] = [];
  readonly points = new Map<string, LinePoint>();
  readings = 0;
  /** The earliest reading. */
  firstUs = Number.POSITIVE_INFINITY;

  readonly #host: RuleHost;
  readonly #device: DeviceTrack;
  readonly #start: CheckpointBody | undefined;
  readonly #tracks = new Map<number, WalkTrack>();
  readonly #walkCells = new Map<Cell, WalkCell>();
  readonly #series = new SeriesReadings();
  readonly #ordered = new OrderedReadings();
  #breaks: WalkBreak[] = [];
  /** The latest reading so far. */
  #latestUs: number;
  /** Checkpoints are made anew at these times, the earliest first. */
  readonly #remakeUs: number[];
  readonly #remade: (body: CheckpointBody) => void;

  constructor(
    host: RuleHost,
    device: DeviceTrack,
    start: CheckpointBody | undefined,
    remakeUs: readonly number[],
    remade: (body: CheckpointBody) => void,
  ) {
    this.#host = host;
    this.#device = device;
    this.#start = start;
    this.#remakeUs = [...remakeUs].sort((a, b) => a - b);
    this.#remade = remade;
    this.#latestUs = start?.timeUs ?? Number.NEGATIVE_INFINITY;
    for (const { epoch, sequence, readingsEnd, lastUs } of start?.points ?? []) {
      const point = { sequence, readingsEnd: readingsEnd ?? Number.NaN, lastUs: lastUs ?? Number.NEGATIVE_INFINITY };
      this.points.set(epoch, point);
    }
    for (const cell of device.deviceCells) if (!cell.rule.watchesDevice) this.#walkCell(cell);
    for (const track of device.tracks.values()) this.#walkTrack(track);
  }

  /** Takes the next item; none before it has an earlier reading. Its memory is free afterwards. */
  take(item: CommittedBatch): void {
    while (this.#remakeUs.length > 0 && this.#remakeUs[0]! < item.firstUs) this.#remake(this.#remakeUs.shift()!);
    if (item.quality === TimeQuality.FUTURE) return;
    this.#passItem(item);
    const { batch, series } = item;
    const origin = { epoch: Buffer.from(item.epoch).toString('hex'), sequence: item.sequence };
    this.#series.openBatch(batch, item.offsetUs);
    for (const group of batch.groups) {
      this.#series.openGroup(group);
      for (const column of group.columns) {
        const known = series[column.seriesId];
        if (known === undefined || column.count === 0) continue;
        const track = this.#host.trackOf(this.#device, known.seriesId, known.declaration);
        if (track === undefined) continue;
        this.#series.select(column);
        const walk = this.#walkTrack(track);
        this.#ordered.admit(this.#series, walk.timeUs);
        const { from, count } = this.#ordered;
        if (from === count) continue;
        this.readings += count - from;
        walk.buffer.addApart(this.#ordered, from, count, origin);
      }
    }
    if (item.lastUs > this.#latestUs) this.#latestUs = item.lastUs;
    if (item.firstUs < this.firstUs) this.firstUs = item.firstUs;
  }

  /** Nothing earlier than this comes any more: judges what is held back of before. */
  release(horizonUs: number): void {
    const due = this.#breaks.filter(({ atUs }) => atUs <= horizonUs).sort((a, b) => a.atUs - b.atUs);
    this.#breaks = this.#breaks.filter(({ atUs }) => atUs > horizonUs);
    for (const track of this.#tracks.values()) track.release(horizonUs, due);
    for (const cell of this.cells) if (cell.cell.seriesId === 0) cell.releaseMerged(due);
  }

  /** Everything has been taken. Time has passed up to `toldUs`. */
  finish(toldUs: number): void {
    while (this.#remakeUs.length > 0) this.#remake(this.#remakeUs.shift()!);
    this.release(Number.POSITIVE_INFINITY);
    if (!Number.isFinite(toldUs)) return;
    for (const cell of this.cells) if (cell.cell.rule.watchesTime) cell.passTime(toldUs);
  }

  /** Up to where the walk has come with a series; undefined for one that it has not met. */
  track(seriesId: number): WalkTrack | undefined {
    return this.#tracks.get(seriesId);
  }

  #passItem(item: CommittedBatch): void {
    const epoch = Buffer.from(item.epoch).toString('hex');
    let point = this.points.get(epoch);
    if (point === undefined) {
      point = { sequence: 0, readingsEnd: 0, lastUs: Number.NEGATIVE_INFINITY };
      this.points.set(epoch, point);
    }
    const isThinned = item.replaced.length > 0;
    const range = lineRange(item, item.epoch);
    const { first, last } = range;
    // What a checkpoint has passed is in its states, with what was missing before it.
    const isAhead = this.#start === undefined || item.firstUs > this.#start.timeUs;
    const line = this.#device.line.epochs.get(epoch);
    if (isAhead && line?.continues(point, range) !== true) {
      const leftUs = Number.isFinite(point.lastUs) ? point.lastUs : this.#latestUs;
      const passedUs = Math.max(leftUs, line?.toldBefore(first) ?? Number.NEGATIVE_INFINITY);
      this.#breaks.push({ atUs: item.firstUs, leftUs: Math.min(passedUs, item.firstUs - 1) });
      // Series differ in how far they had come: for some of them the missing readings are behind the left edge.
      if (leftUs >= item.firstUs) this.#breaks.push({ atUs: leftUs + 1, leftUs });
    }
    pass(point, item, last, isThinned);
  }

  #remake(timeUs: number): void {
    this.release(timeUs + 1);
    const tracks = [...this.#tracks.values()]
      .filter((track) => Number.isFinite(track.timeUs))
      .map((track): [number, number] => [track.track.seriesId, track.timeUs]);
    const points = Array.from(this.points, ([epoch, { sequence, readingsEnd, lastUs }]) => ({
      epoch,
      sequence,
      readingsEnd: Number.isNaN(readingsEnd) ? null : readingsEnd,
      lastUs: Number.isFinite(lastUs) ? lastUs : null,
    }));
    this.#remade({ timeUs, points, tracks, cells: this.cells.map((cell) => cell.save()) });
  }

  #walkTrack(track: SeriesTrack): WalkTrack {
    const known = this.#tracks.get(track.seriesId);
    if (known !== undefined) return known;
    const timeUs = this.#start?.tracks.find(([seriesId]) => seriesId === track.seriesId)?.[1];
    const cells = track.cells.map((cell) => this.#walkCell(cell));
    const memberships = track.memberships.map(({ cell }) => {
      const walkCell = this.#walkCell(cell);
      const member = cell.rule.join(walkCell.instance, track.identity, this.#device.attributes, track.type);
      return { cell: walkCell, member };
    });
    const walk = new WalkTrack(track, cells, memberships, timeUs ?? Number.NEGATIVE_INFINITY);
    this.#tracks.set(track.seriesId, walk);
    return walk;
  }

  #walkCell(cell: Cell): WalkCell {
    const known = this.#walkCells.get(cell);
    if (known !== undefined) return known;
    const { rule, seriesId, identity } = cell;
    const saved = this.#start?.cells.find((one) => one.seriesId === seriesId && one.rule === rule.name);
    const restored = saved && rule.restore(saved.saved, identity);
    const walkCell = new WalkCell(cell, restored ?? rule.newInstance(identity));
    if (saved !== undefined && restored !== undefined) {
      walkCell.timeUs = saved.timeUs ?? Number.NEGATIVE_INFINITY;
      if (saved.incident !== undefined) walkCell.inherit(restoreIncident(saved.incident, this.#device.name));
    }
    this.#walkCells.set(cell, walkCell);
    this.cells.push(walkCell);
    return walkCell;
  }
}

/** Where a walk from a checkpoint begins to read; without one everything is read. */
export function walkFromUs(head: CheckpointHead | undefined): number {
  return head?.readFromUs ?? -Number.MAX_SAFE_INTEGER;
}
