import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { RuleInstance } from '@tributary/core/rules/rule-instance';
import type { Attributes } from '@tributary/core/rules/selection';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { ColumnType } from '@tributary/proto/batch/batch';
import { seriesKey } from '../batching/series-key.js';
import type { TimeLine } from '../sensors/source.js';
import { type CellNote, cellNoteName, moveCell, newCell, type RuleCell } from './rule-cell.js';

/** A rule over the device, as one of its series sees it. */
export interface Membership {
  cell: RuleCell;
  /** The series' number in each of the two instances. */
  truth: number;
  scout: number;
}

/** A series of this device that some rule is for. */
export interface RuleTrack {
  readonly identity: SeriesIdentity;
  /** Rules over this series, and rules over the device that it is a member of. */
  readonly cells: readonly RuleCell[];
  readonly memberships: readonly Membership[];
  readonly type: ColumnType;
  readonly line: TimeLine;
  /** A reading has come since the start. */
  isRead: boolean;
  /** The newest readings, on the judging line: of those that have a sequence, and of all. */
  truthUs: number;
  scoutUs: number;
}

/** What a series is called, and what its values are. */
export interface SeriesName {
  name: string;
  unit: string;
  labels: Readonly<Record<string, string>>;
}

export interface RuleBookOptions {
  device: { tenant: string; device: string };
  attributes: Attributes;
  /** A rule is for more series than can be judged. */
  full(rule: CompiledRule): void;
  /** The times of what a cell judges are on another line since this start, on which nothing is known: it begins anew. */
  moved(cell: RuleCell): void;
}

/**
 * Rules at work at the most, a rule and a series each: some 3 kB where a rule remembers readings, so 12 MB where all do. As
 * many as a collector takes series of one device.
 */
export const CELLS_MAX = 4096;

/** Which rules are at work for which series. A series is matched with the rules once, when its first reading comes. */
export class RuleBook {
  readonly #options: RuleBookOptions;
  readonly #rules: readonly CompiledRule[];
  readonly #tracks = new Map<string, RuleTrack>();
  readonly #cells = new Map<string, RuleCell>();
  /** Of an earlier start, and not taken up yet. */
  readonly #notes: Map<string, CellNote>;
  /** Cells that the limit has kept from being made. */
  cellsRefused = 0;

  constructor(rules: readonly CompiledRule[], notes: Map<string, CellNote>, options: RuleBookOptions) {
    this.#rules = rules;
    this.#notes = notes;
    this.#options = options;
  }

  get rules(): readonly CompiledRule[] {
    return this.#rules;
  }

  get cells(): Iterable<RuleCell> {
    return this.#cells.values();
  }

  /** A series that was read on this line of time; the same for the same series. */
  track(series: SeriesName, type: ColumnType, line: TimeLine): RuleTrack {
    const key = trackKey(series, type, line);
    const known = this.#tracks.get(key);
    if (known?.isRead === true) return known;
    const track = known ?? this.#newTrack(series, type, line);
    track.isRead = true;
    for (const { cell } of track.memberships) cell.isRead = true;
    for (const cell of track.cells) cell.isRead = true;
    this.#tracks.set(key, track);
    return track;
  }

  /** Takes up what an earlier start has left, as far as its rules and series are there; `typeOf` is the catalogue. */
  recall(typeOf: (series: SeriesName) => ColumnType | undefined): void {
    for (const { rule: name, series, line } of [...this.#notes.values()]) {
      if (series.name === '') {
        const rule = this.#rules.find((one) => one.name === name && one.scope === 'device');
        if (rule !== undefined) this.#cell(rule, { ...this.#options.device, name: '', unit: '', labels: {} }, line);
        continue;
      }
      const type = typeOf(series);
      if (type === undefined) continue;
      const key = trackKey(series, type, line);
      if (!this.#tracks.has(key)) this.#tracks.set(key, this.#newTrack(series, type, line));
    }
  }

  #newTrack({ name, unit, labels }: SeriesName, type: ColumnType, line: TimeLine): RuleTrack {
    const identity: SeriesIdentity = { ...this.#options.device, name, unit, labels };
    const cells: RuleCell[] = [];
    const memberships: Membership[] = [];
    for (const rule of this.#rules) {
      if (!rule.takes(type) || !rule.selects(identity, this.#options.attributes)) continue;
      const isOfDevice = rule.scope === 'device';
      const cell = this.#cell(rule, isOfDevice ? { ...identity, name: '', unit: '', labels: {} } : identity, line);
      // What a rule has seen on one line of time says nothing about readings on the other.
      if (cell === undefined || cell.line !== line) continue;
      if (!isOfDevice) cells.push(cell);
      else {
        const join = (instance: RuleInstance) => rule.join(instance, identity, this.#options.attributes, type);
        memberships.push({ cell, truth: join(cell.truth), scout: join(cell.scout) });
      }
    }
    const newest = cells.reduce((lastUs, { truth }) => Math.max(lastUs, truth.lastUs), Number.NEGATIVE_INFINITY);
    return { identity, cells, memberships, type, line, isRead: false, truthUs: newest, scoutUs: newest };
  }

  #cell(rule: CompiledRule, series: SeriesIdentity, line: TimeLine): RuleCell | undefined {
    const name = cellNoteName(rule.name, series);
    const known = this.#cells.get(name);
    if (known !== undefined) {
      if (known.line !== line && !known.isRead) {
        this.#options.moved(known);
        moveCell(known, line);
      }
      return known;
    }
    if (this.#cells.size >= CELLS_MAX) {
      this.cellsRefused++;
      this.#options.full(rule);
      return undefined;
    }
    const note = this.#notes.get(name);
    const restored = note?.line === line ? newCell(rule, series, line, note) : undefined;
    if (restored !== undefined) this.#notes.delete(name);
    const cell = restored ?? newCell(rule, series, line);
    if (cell !== undefined) this.#cells.set(name, cell);
    return cell;
  }

  /** What an earlier start has left about rules and series that are not at work; each is answered once. */
  takeUnclaimed(): CellNote[] {
    const notes = [...this.#notes.values()];
    this.#notes.clear();
    return notes;
  }

  /** Scouts of rules over the device have other numbers for their members after they have begun anew. */
  rejoin(cell: RuleCell): void {
    if (cell.rule.scope !== 'device') return;
    for (const { identity, type, memberships } of this.#tracks.values()) {
      for (const membership of memberships) {
        if (membership.cell !== cell) continue;
        membership.scout = cell.rule.join(cell.scout, identity, this.#options.attributes, type);
      }
    }
  }
}

function trackKey(series: SeriesName, type: ColumnType, line: TimeLine): string {
  return `${line} ${type} ${seriesKey(series)}`;
}
