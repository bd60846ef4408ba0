import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';

/** The whole catalogue of an epoch, or how much of each part the collector knows. */
export interface DeviceCatalogue {
  series: readonly SeriesDeclaration[];
  segments: readonly SegmentDeclaration[];
  anchors: readonly ClockAnchor[];
}

export interface CatalogueKnown {
  series: number;
  segments: number;
  anchors: number;
}

/** A part of the catalogue that fits into one Register. */
export interface CataloguePage {
  series: SeriesDeclaration[];
  segments: SegmentDeclaration[];
  anchors: ClockAnchor[];
}

/**
 * A tag, a length and an id cost so much at the most; for a segment everything but its boot id, for an anchor all of it.
 */
const entryOverheadBytes = 64;

function seriesBytes(series: SeriesDeclaration): number {
  let bytes = entryOverheadBytes + Buffer.byteLength(series.name) + Buffer.byteLength(series.unit);
  for (const [name, value] of Object.entries(series.labels)) {
    bytes += 12 + Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes;
}

/**
 * The entries after those that the collector knows, in order of id, up to `bytesMax`; always at least one while there is
 * one. Segments come first, then anchors: they are few, and no time can be told without them.
 */
export function cataloguePage(all: DeviceCatalogue, known: CatalogueKnown, bytesMax: number): CataloguePage {
  const page: CataloguePage = { series: [], segments: [], anchors: [] };
  let bytes = 0;
  let entries = 0;
  const hasRoom = (more: number) => {
    bytes += more;
    entries++;
    return entries === 1 || bytes <= bytesMax;
  };
  for (const segment of all.segments.slice(known.segments)) {
    if (!hasRoom(entryOverheadBytes + Buffer.byteLength(segment.bootId))) return page;
    page.segments.push(segment);
  }
  for (const anchor of all.anchors.slice(known.anchors)) {
    if (!hasRoom(entryOverheadBytes)) return page;
    page.anchors.push(anchor);
  }
  for (const series of all.series.slice(known.series)) {
    if (!hasRoom(seriesBytes(series))) return page;
    page.series.push(series);
  }
  return page;
}
