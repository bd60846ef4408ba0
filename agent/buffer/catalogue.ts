import { isDeepStrictEqual } from 'node:util';
import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { ItemTable } from './item-table.js';

/** Series, segments and anchors of an epoch: append-only, ids from 1 without a gap. */
export class Catalogue {
  readonly #table: ItemTable;
  readonly #series: SeriesDeclaration[];
  readonly #segments: SegmentDeclaration[];
  readonly #anchors: ClockAnchor[];
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
    return { series: this.#series.length, segments: this.#segments.length };
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

  addSegment(segment: Omit<SegmentDeclaration, 'id'>, transact: (write: () => void) => void): SegmentDeclaration {
    const declaration = { ...segment, id: this.#segments.length + 1 };
    transact(() => this.#table.putSegment(declaration));
    this.#segments.push(declaration);
    return declaration;
  }

  addAnchor(anchor: Omit<ClockAnchor, 'id'>, transact: (write: () => void) => void): ClockAnchor {
    const declaration = { ...anchor, id: this.#anchors.length + 1 };
    transact(() => this.#table.putAnchor(declaration));
    this.#anchors.push(declaration);
    return declaration;
  }
}

/** Equal for equal series: name, unit, labels in any order, type. */
function seriesKey(series: Omit<SeriesDeclaration, 'id'>): string {
  const labels = Object.entries(series.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([series.name, series.unit, labels, series.type]);
}
