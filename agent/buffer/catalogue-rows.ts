import { crc32 } from 'node:zlib';
import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';

// The catalogue as rows. What a reading's series is called and where its time line lies is as much a part of it as its value,
// so each of these rows has a checksum: CRC-32 over the other columns as a JSON array.

export type SeriesRow = [id: number, name: string, unit: string, labels: string, type: number, checksum: number];
export type SegmentRow = [
  id: number,
  bootId: string,
  offsetUs: number,
  observedAtUs: number,
  uncertaintyUs: number,
  state: number,
  checksum: number,
];
export type AnchorRow = [
  id: number,
  segment: number,
  atUs: number,
  offsetUs: number,
  uncertaintyUs: number,
  state: number,
  checksum: number,
];

export function catalogueChecksum(columns: readonly (string | number)[]): number {
  return crc32(JSON.stringify(columns));
}

function isIntact(row: readonly (string | number)[]): boolean {
  return catalogueChecksum(row.slice(0, -1)) === row.at(-1);
}

function stamped<Row>(columns: readonly (string | number)[]): Row {
  return [...columns, catalogueChecksum(columns)] as Row;
}

export function rowOfSeries({ id, name, unit, labels, type }: SeriesDeclaration): SeriesRow {
  return stamped([id, name, unit, JSON.stringify(labels), type]);
}

export function rowOfSegment(segment: SegmentDeclaration): SegmentRow {
  const { id, bootId, offsetUs, observedAtUs, uncertaintyUs, state } = segment;
  return stamped([id, bootId, offsetUs, observedAtUs, uncertaintyUs, state]);
}

export function rowOfAnchor({ id, segment, atUs, offsetUs, uncertaintyUs, state }: ClockAnchor): AnchorRow {
  return stamped([id, segment, atUs, offsetUs, uncertaintyUs, state]);
}

/** Undefined where the checksum fails, as with the two below. */
export function seriesOfRow(row: SeriesRow): SeriesDeclaration | undefined {
  if (!isIntact(row)) return undefined;
  const [id, name, unit, labels, type] = row;
  return { id, name, unit, labels: JSON.parse(labels) as Record<string, string>, type };
}

export function segmentOfRow(row: SegmentRow): SegmentDeclaration | undefined {
  if (!isIntact(row)) return undefined;
  const [id, bootId, offsetUs, observedAtUs, uncertaintyUs, state] = row;
  return { id, bootId, offsetUs, observedAtUs, uncertaintyUs, state };
}

export function anchorOfRow(row: AnchorRow): ClockAnchor | undefined {
  if (!isIntact(row)) return undefined;
  const [id, segment, atUs, offsetUs, uncertaintyUs, state] = row;
  return { id, segment, atUs, offsetUs, uncertaintyUs, state };
}
