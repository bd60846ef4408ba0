import { isDeepStrictEqual } from 'node:util';
import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Undeclared } from './buffer.js';
import type { ClockIds, ItemTable } from './item-table.js';

/**
 * Segments and anchors of an epoch from which on it is left for a new one, which takes along only what is still referred
 * to. Collectors take 16,384 and 65,536: there is room for thousands of starts that do not reach one.
 */
const SEGMENTS_MANY = 12_000;
const ANCHORS_MANY = 50_000;

/** Whether an epoch has nearly all the segments or anchors that collectors take. */
export function isCrowded({
  segments,
  anchors,
}: {
  segments: readonly unknown[];
  anchors: readonly unknown[];
}): boolean {
  return segments.length >= SEGMENTS_MANY || anchors.length >= ANCHORS_MANY;
}

/** Series, segments and anchors of an epoch: append-only, ids without a gap, from 1 until segments are dropped. */
export class Catalogue {
  readonly #table: ItemTable;
  readonly #series: SeriesDeclaration[];
  #segments: SegmentDeclaration[];
  #anchors: ClockAnchor[];
  readonly #byKey = new Map<string, SeriesDeclaration>();

  constructor(table: ItemTable) {
    this.#table = table;
    this.#series = table.series();
    this.#segments = table.segments();
    this.#anchors = table.anchors();
    for (const series of this.#series) this.#byKey.set(seriesKey(series), series);
  }

  get series(): SeriesDeclaration[] {
    return [...this.#series];
  }

  get segments(): SegmentDeclaration[] {
    return [...this.#segments];
  }

  get anchors(): ClockAnchor[] {
    return [...this.#anchors];
  }

  /** Whether both say the same under the same ids. */
  equals(other: Catalogue): boolean {
    return isDeepStrictEqual(
      [this.#series, this.#segments, this.#anchors],
      [other.#series, other.#segments, other.#anchors],
    );
  }

  /** Puts this in the place of whatever a table has; within a transaction. */
  replaceThatOf(table: ItemTable): void {
    table.clearCatalogue();
    for (const series of this.#series) table.putSeries(series);
    for (const segment of this.#segments) table.putSegment(segment);
    for (const anchor of this.#anchors) table.putAnchor(anchor);
  }

  /** Ids that are taken. */
  get sizes(): { series: number; segments: number } {
    return { series: this.#series.length, segments: this.#segments.at(-1)?.id ?? 0 };
  }

  /** The declarations of these series, new ids for those that are not known yet; `transact` runs what writes. */
  addSeries(
    series: readonly Omit<SeriesDeclaration, 'id'>[],
    transact: (write: () => void) => void,
  ): SeriesDeclaration[] {
    const added = new Map<string, SeriesDeclaration>();
    for (const each of series) {
      const key = seriesKey(each);
      if (this.#byKey.has(key) || added.has(key)) continue;
      const { name, unit, labels, type } = each;
      added.set(key, { id: this.#series.length + added.size + 1, name, unit, labels: { ...labels }, type });
    }
    if (added.size > 0) {
      transact(() => {
        for (const declaration of added.values()) this.#table.putSeries(declaration);
      });
    }
    for (const [key, declaration] of added) {
      this.#series.push(declaration);
      this.#byKey.set(key, declaration);
    }
    return series.map((each) => this.#byKey.get(seriesKey(each))!);
  }

  addSegment(segment: Undeclared<SegmentDeclaration>, transact: (write: () => void) => void): SegmentDeclaration {
    const declaration = { ...segment, id: nextId(this.#segments, segment) };
    transact(() => this.#table.putSegment(declaration));
    this.#segments.push(declaration);
    return declaration;
  }

  addAnchor(anchor: Undeclared<ClockAnchor>, transact: (write: () => void) => void): ClockAnchor {
    const declaration = { ...anchor, id: nextId(this.#anchors, anchor) };
    transact(() => this.#table.putAnchor(declaration));
    this.#anchors.push(declaration);
    return declaration;
  }

  /** What is below the ids that are still needed when this segment is; ids stay without a gap. */
  belowSegment(segment: number): ClockIds {
    const anchor = this.#anchors.find((each) => each.segment >= segment) ?? this.#anchors.at(-1);
    return { segment, anchor: anchor?.id ?? 1 };
  }

  /** What the table has dropped. */
  dropped(below: ClockIds): void {
    this.#segments = this.#segments.filter(({ id }) => id >= below.segment);
    this.#anchors = this.#anchors.filter(({ id }) => id >= below.anchor);
  }
}

/** A file that begins anew in the middle of an epoch's life takes up the ids where they were. */
function nextId(known: readonly { id: number }[], { id = 1 }: { id?: number }): number {
  return Math.max((known.at(-1)?.id ?? 0) + 1, id);
}

/** Equal for equal series: name, unit, labels in any order, type. */
function seriesKey(series: Omit<SeriesDeclaration, 'id'>): string {
  const labels = Object.entries(series.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([series.name, series.unit, labels, series.type]);
}
