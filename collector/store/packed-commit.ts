import { ItemKind, type LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { chunkBytesBound, chunkEnd, writeChunk } from './chunk.js';
import type { CheckedItem, DeviceCommit } from './store.js';
import { hasReadings, readingsIn } from './thinned-item.js';

/** Columns of {@link PackedCommit.devices}. */
export enum DeviceField {
  DeviceId = 0,
  EpochId = 1,
  FencingToken = 2,
  ReadingsProduced = 3,
  ReadingsWaiting = 4,
  Items = 5,
  Chunks = 6,
  Width = 7,
}

/** Columns of {@link PackedCommit.chunks}. */
export enum ChunkField {
  Start = 0,
  End = 1,
  FirstSequence = 2,
  Items = 3,
  Readings = 4,
  /** Earliest and latest event time of the batches in it; NaN where there is no batch. */
  FirstUs = 5,
  LastUs = 6,
  /** The greatest readings before + readings. */
  ReadingsEnd = 7,
  LastChecksum = 8,
  Width = 9,
}

/** What one item declares. */
export interface PackedEntries {
  /** The device's index in the commit, and the item's in that. */
  device: number;
  item: number;
  entries: readonly LedgerEntry[];
  /** Of a thinned batch: its sequence and the readings that it holds. */
  thinned?: { sequence: number; kept: number };
}

/**
 * A commit as few flat buffers that move to another thread without a copy: chunks are framed here, where the items are,
 * so that the other side writes slices and, as long as nothing comes twice, never looks at an item.
 */
export interface PackedCommit {
  nowUs: number;
  items: number;
  devices: Float64Array<ArrayBuffer>;
  chunks: Float64Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>;
  /** What declarations and thinned batches declare, in order. */
  entries: PackedEntries[];
}

/** Fills one row of {@link PackedCommit.chunks} for items `from` to before `to`. */
export function describeChunk(
  items: readonly CheckedItem[],
  from: number,
  to: number,
  start: number,
  end: number,
  row: Float64Array,
  at: number,
): void {
  let readings = 0;
  let firstUs = Number.NaN;
  let lastUs = Number.NaN;
  let readingsEnd = 0;
  for (let index = from; index < to; index++) {
    const item = items[index];
    readings += readingsIn(item);
    readingsEnd = Math.max(readingsEnd, item.readingsBefore + item.readings);
    if (hasReadings(item.kind)) {
      if (!(firstUs <= item.firstUs)) firstUs = item.firstUs;
      if (!(lastUs >= item.lastUs)) lastUs = item.lastUs;
    }
  }
  row[at + ChunkField.Start] = start;
  row[at + ChunkField.End] = end;
  row[at + ChunkField.FirstSequence] = items[from].sequence;
  row[at + ChunkField.Items] = to - from;
  row[at + ChunkField.Readings] = readings;
  row[at + ChunkField.FirstUs] = firstUs;
  row[at + ChunkField.LastUs] = lastUs;
  row[at + ChunkField.ReadingsEnd] = readingsEnd;
  row[at + ChunkField.LastChecksum] = items[to - 1].checksum;
}

/** Frames a commit's items into chunks. */
export function packCommit(commits: readonly DeviceCommit[], nowUs: number): PackedCommit {
  let itemCount = 0;
  let chunkCount = 0;
  let bytesBound = 0;
  for (const { items } of commits) {
    itemCount += items.length;
    for (let from = 0; from < items.length; ) {
      const to = chunkEnd(items, from);
      let bodyBytes = 0;
      for (let index = from; index < to; index++) bodyBytes += items[index].body.length;
      bytesBound += chunkBytesBound(to - from, bodyBytes);
      chunkCount++;
      from = to;
    }
  }
  const devices = new Float64Array(commits.length * DeviceField.Width);
  const chunks = new Float64Array(chunkCount * ChunkField.Width);
  // Not pooled, so it can be transferred; not zeroed, because every byte up to the last chunk's end is written.
  const bytes = Buffer.allocUnsafeSlow(bytesBound) as unknown as Uint8Array<ArrayBuffer>;
  const entries: PackedCommit['entries'] = [];
  let chunk = 0;
  let end = 0;
  for (let device = 0; device < commits.length; device++) {
    const commit = commits[device];
    const { items } = commit;
    const at = device * DeviceField.Width;
    const chunksBefore = chunk;
    for (let from = 0; from < items.length; chunk++) {
      const to = chunkEnd(items, from);
      const start = end;
      end = writeChunk(items, from, to, bytes, start);
      describeChunk(items, from, to, start, end, chunks, chunk * ChunkField.Width);
      from = to;
    }
    for (let item = 0; item < items.length; item++) {
      const declared = items[item].entries;
      if (declared === undefined || declared.length === 0) continue;
      const { kind, sequence } = items[item];
      if (kind !== ItemKind.THINNED_BATCH) entries.push({ device, item, entries: declared });
      else entries.push({ device, item, entries: declared, thinned: { sequence, kept: readingsIn(items[item]) } });
    }
    devices[at + DeviceField.DeviceId] = commit.deviceId;
    devices[at + DeviceField.EpochId] = commit.epochId;
    devices[at + DeviceField.FencingToken] = commit.fencingToken;
    devices[at + DeviceField.ReadingsProduced] = commit.readingsProduced;
    devices[at + DeviceField.ReadingsWaiting] = commit.readingsWaiting;
    devices[at + DeviceField.Items] = items.length;
    devices[at + DeviceField.Chunks] = chunk - chunksBefore;
  }
  return { nowUs, items: itemCount, devices, chunks, bytes, entries };
}
