import type { Item } from '@tributary/proto/items/item';
import type { EncodedBatch } from './buffer.js';
import { BATCH } from './loss-entries.js';

/** Things with bodies on their way between threads: all bodies in one piece of memory that changes hands uncopied. */
export interface Packed {
  bodies: Uint8Array<ArrayBuffer>;
  /** For each body its columns, of which the last is its length. */
  columns: Float64Array<ArrayBuffer>;
}

const BATCH_COLUMNS = 4;
const ITEM_COLUMNS = 6;

export function packBatches(batches: readonly EncodedBatch[]): Packed {
  const columns = new Float64Array(batches.length * BATCH_COLUMNS);
  for (const [at, batch] of batches.entries()) {
    const { isProtected = false, readings, kind = BATCH, body } = batch;
    columns.set([isProtected ? 1 : 0, readings, kind, body.length], at * BATCH_COLUMNS);
  }
  return { bodies: joined(batches), columns };
}

export function unpackBatches({ bodies, columns }: Packed): EncodedBatch[] {
  const batches: EncodedBatch[] = [];
  let start = 0;
  for (let at = 0; at < columns.length; at += BATCH_COLUMNS) {
    const [isProtected, readings, kind, length] = columns.subarray(at, at + BATCH_COLUMNS);
    const end = start + length;
    batches.push({ isProtected: isProtected === 1, readings, kind, body: bodies.subarray(start, end) });
    start = end;
  }
  return batches;
}

export function packItems(items: readonly Item[]): Packed {
  const columns = new Float64Array(items.length * ITEM_COLUMNS);
  for (const [at, { sequence, kind, checksum, readings, readingsBefore, body }] of items.entries()) {
    columns.set([sequence, kind, checksum, readings, readingsBefore, body.length], at * ITEM_COLUMNS);
  }
  return { bodies: joined(items), columns };
}

export function unpackItems({ bodies, columns }: Packed): Item[] {
  const items: Item[] = [];
  let start = 0;
  for (let at = 0; at < columns.length; at += ITEM_COLUMNS) {
    const [sequence, kind, checksum, readings, readingsBefore, length] = columns.subarray(at, at + ITEM_COLUMNS);
    const body = bodies.subarray(start, start + length);
    items.push({ sequence, kind, checksum, readings, readingsBefore, body });
    start += length;
  }
  return items;
}

function joined(things: readonly { body: Uint8Array }[]): Uint8Array<ArrayBuffer> {
  const bodies = new Uint8Array(things.reduce((sum, thing) => sum + thing.body.length, 0));
  let at = 0;
  for (const { body } of things) {
    bodies.set(body, at);
    at += body.length;
  }
  return bodies;
}
