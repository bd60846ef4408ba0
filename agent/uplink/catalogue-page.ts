import type { SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';

/** A part of the catalogue that fits into one Register. */
export interface CataloguePage {
  series: SeriesDeclaration[];
  segments: SegmentDeclaration[];
}

/** A tag, a length and an id cost so much at the most; for a segment everything but its boot id. */
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
 * one. Segments come first: they are few, and no time can be told without them.
 */
export function cataloguePage(
  series: readonly SeriesDeclaration[],
  segments: readonly SegmentDeclaration[],
  seriesKnown: number,
  segmentsKnown: number,
  bytesMax: number,
): CataloguePage {
  const page: CataloguePage = { series: [], segments: [] };
  let bytes = 0;
  for (const segment of segments) {
    if (segment.id <= segmentsKnown) continue;
    bytes += entryOverheadBytes + Buffer.byteLength(segment.bootId);
    if (bytes > bytesMax && page.segments.length > 0) return page;
    page.segments.push(segment);
  }
  for (const entry of series) {
    if (entry.id <= seriesKnown) continue;
    bytes += seriesBytes(entry);
    if (bytes > bytesMax && page.segments.length + page.series.length > 0) return page;
    page.series.push(entry);
  }
  return page;
}
