import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import {
  type AnchorRow,
  anchorOfRow,
  type SegmentRow,
  type SeriesRow,
  segmentOfRow,
  seriesOfRow,
} from './catalogue-rows.js';
import type { ItemTable } from './item-table.js';
import type { RawRow } from './raw-rows.js';
import { TRANSITION, transitionIds } from './transition-ids.js';

/** Ids beyond this are damage. */
const ID_MAX = 1_000_000;
/** Segments that are there afterwards, missing ones among them: as many as collectors take of an epoch. */
const SEGMENTS_FILLED_MAX = 16_384;

/** Series, segments and anchors that have come to light in a damaged file. */
export class SalvagedCatalogue {
  readonly #series = new Map<number, SeriesRow>();
  readonly #segments = new Map<number, SegmentRow>();
  readonly #anchors = new Map<number, AnchorRow>();
  /** Rows of the first version have no checksum: they stand in where there is nothing better. */
  readonly #unproved = { series: new Map<number, SeriesRow>(), segments: new Map<number, SegmentRow>() };
  readonly #arena = new DecodeArena();
  #seriesMax: number;
  #segmentMax: number;

  /** `known` is how many ids were taken, where the mark says so. */
  constructor(known: { series: number; segments: number } | undefined) {
    this.#seriesMax = known?.series ?? 0;
    this.#segmentMax = known?.segments ?? 0;
  }

  /** Of those that passed their checksums. */
  get sizes(): { series: number; segments: number } {
    return { series: this.#series.size, segments: this.#segments.size };
  }

  /** Takes a row if it looks like one of the catalogue: `shape` has a letter for each of its values. */
  take(rowId: number, shape: string, values: RawRow['values']): void {
    if (rowId < 1 || rowId > ID_MAX) return;
    const row = [rowId, ...values.slice(1)] as unknown;
    if (shape === '0sssnn' || shape === '0sssn') this.#takeSeries(row as SeriesRow);
    else if (shape === '0snnnnn' || shape === '0snnnn') this.#takeSegment(row as SegmentRow);
    else if (shape === '0nnnnnn' && anchorOfRow(row as AnchorRow) !== undefined) {
      this.#anchors.set(rowId, row as AnchorRow);
    }
  }

  /** Without a mark only the rows know how many series and segments there were. */
  noteIds(kind: number, body: Uint8Array): void {
    try {
      if (kind === TRANSITION) {
        const { seriesId, segments } = transitionIds(body);
        this.#seriesMax = Math.max(this.#seriesMax, seriesId);
        this.#segmentMax = Math.max(this.#segmentMax, ...segments);
        return;
      }
      const batch = decodeBatch(body, this.#arena);
      this.#segmentMax = Math.max(this.#segmentMax, batch.segment);
      for (const group of batch.groups) {
        for (const { seriesId } of group.columns) this.#seriesMax = Math.max(this.#seriesMax, seriesId);
      }
    } catch {
      // A declaration, or a form that this version does not know.
    }
    this.#arena.reset();
  }

  /** Ids count up without a gap and are never used again, so what is missing gets a name that says so. */
  putInto(table: ItemTable): void {
    const seriesMax = Math.min(
      ID_MAX,
      Math.max(this.#seriesMax, highestOf(this.#series.keys()), highestOf(this.#unproved.series.keys())),
    );
    for (let id = 1; id <= seriesMax; id++) {
      const old = this.#unproved.series.get(id);
      const declaration = this.#series.has(id)
        ? seriesOfRow(this.#series.get(id)!)!
        : old !== undefined && isObject(old[3])
          ? { id, name: old[1], unit: old[2], labels: JSON.parse(old[3]) as Record<string, string>, type: old[4] }
          : { id, name: `lost-series-${id}`, unit: '', labels: {}, type: 1 };
      table.putSeries(declaration);
    }
    const segmentMax = Math.min(
      ID_MAX,
      Math.max(this.#segmentMax, highestOf(this.#segments.keys()), highestOf(this.#unproved.segments.keys())),
    );
    // Of an epoch that followed a crowded one the lower ids are not in use.
    const lowest = Math.min(lowestOf(this.#segments.keys()), lowestOf(this.#unproved.segments.keys()), segmentMax);
    const segmentMin = segmentMax <= SEGMENTS_FILLED_MAX ? 1 : Math.max(lowest, segmentMax - SEGMENTS_FILLED_MAX + 1);
    for (let id = segmentMin; id <= segmentMax; id++) {
      const old = this.#unproved.segments.get(id);
      const unknown = { id, bootId: 'lost', offsetUs: 0, observedAtUs: 0, uncertaintyUs: 0, state: 3 };
      const known = this.#segments.get(id);
      if (known !== undefined) table.putSegment(segmentOfRow(known)!);
      else if (old === undefined) table.putSegment(unknown);
      else
        table.putSegment({
          id,
          bootId: old[1],
          offsetUs: old[2],
          observedAtUs: old[3],
          uncertaintyUs: old[4],
          state: old[5],
        });
    }
    const anchorMin = segmentMin === 1 ? 1 : lowestOf(this.#anchors.keys());
    for (let id = anchorMin; this.#anchors.has(id); id++) table.putAnchor(anchorOfRow(this.#anchors.get(id)!)!);
  }

  #takeSeries(row: SeriesRow): void {
    if ((row as unknown[]).length === 5) this.#unproved.series.set(row[0], row);
    else if (seriesOfRow(row) !== undefined) this.#series.set(row[0], row);
  }

  #takeSegment(row: SegmentRow): void {
    if ((row as unknown[]).length === 6) this.#unproved.segments.set(row[0], row);
    else if (segmentOfRow(row) !== undefined) this.#segments.set(row[0], row);
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Infinity for none. */
function lowestOf(ids: Iterable<number>): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const id of ids) lowest = Math.min(lowest, id);
  return lowest;
}

/** 0 for none. */
function highestOf(ids: Iterable<number>): number {
  let highest = 0;
  for (const id of ids) highest = Math.max(highest, id);
  return highest;
}
