import type { ItemKind, LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { decodeEntries, encodeDeclaration, putCount } from './loss-entries.js';

// Encoded by hand, as declarations are: the generated module does not belong into the buffer's thread.

export const THINNED_BATCH: ItemKind.THINNED_BATCH = 7;

/** The body of a thinned item: a protobuf `ThinnedBatch`. */
export interface ThinnedBody {
  /** Ranges of consecutive sequences, each with the readings of it that were left out. */
  replaced: LedgerEntry[];
  /** For each of `replaced`, how many of its readings are in the batch. */
  kept: number[];
  batch: Uint8Array;
}

/** Tags, lengths and counts beside the entries and the batch: two numbers of 32 bits and the lengths of two fields. */
const FRAME_BYTES_MAX = 6 + 6 + 6;
/** A count of 32 bits as a varint. */
const COUNT_BYTES_MAX = 5;

export function encodeThinnedBatch({ replaced, kept, batch }: ThinnedBody): Uint8Array {
  const entries = encodeDeclaration(replaced);
  const counts = packedCounts(kept);
  const bytes = new Uint8Array(entries.length + counts.length + batch.length + FRAME_BYTES_MAX);
  bytes.set(entries, 0);
  let at = putCount(bytes, entries.length, 0x10, keptReadings(kept));
  at = putBytes(bytes, at, 0x1a, batch);
  at = putBytes(bytes, at, 0x22, counts);
  return bytes.subarray(0, at);
}

/** What {@link encodeThinnedBatch} made. Its checksum was verified, so another shape is a bug. */
export function decodeThinnedBatch(body: Uint8Array): ThinnedBody {
  const { entries: replaced, end } = decodeEntries(body);
  const found: ThinnedBody = { replaced, kept: [], batch: new Uint8Array(0) };
  let at = end;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = body[at++];
      if (byte === undefined) throw new RangeError('a thinned batch ends within a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < body.length) {
    const tag = body[at++];
    const value = varint();
    if (tag === 0x1a) {
      found.batch = body.subarray(at, at + value);
      at += value;
    } else if (tag === 0x22) {
      for (const until = at + value; at < until; ) found.kept.push(varint());
    } else if (tag !== 0x10) throw new RangeError('a thinned batch has an unknown field');
  }
  return found;
}

/**
 * What is lost with a thinned item: what it left out is as it was, and the readings that it kept go now, for `reason`. Of
 * each range it replaced, both together are all that there were.
 */
export function lossesOfThinned({ replaced, kept }: ThinnedBody, reason: LossReason): LedgerEntry[] {
  const gone = replaced.map((entry, at): LedgerEntry => ({ ...entry, readings: kept[at], reason }));
  return [...replaced, ...gone.filter(({ readings }) => readings > 0)];
}

export function keptReadings(kept: readonly number[]): number {
  return kept.reduce((sum, readings) => sum + readings, 0);
}

function packedCounts(counts: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(counts.length * COUNT_BYTES_MAX);
  let at = 0;
  for (const count of counts) at = putVarint(bytes, at, count);
  return bytes.subarray(0, at);
}

function putBytes(bytes: Uint8Array, start: number, tag: number, content: Uint8Array): number {
  if (content.length === 0) return start;
  bytes[start] = tag;
  const at = putVarint(bytes, start + 1, content.length);
  bytes.set(content, at);
  return at + content.length;
}

function putVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}
