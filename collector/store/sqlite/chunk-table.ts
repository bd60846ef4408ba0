import type Database from 'better-sqlite3';
import { chunkBytesBound, chunkEnd, writeChunk } from '../chunk.js';
import { ChunkField, describeChunk } from '../packed-commit.js';
import type { CheckedItem } from '../store.js';

/**
 * Chunks are indexed by the start of their event times within a class of how long they span: class n spans less than
 * 16^n seconds. A query then looks back from its range by a class's span and no further, however odd one chunk's times are.
 */
const SPAN_CLASS_BASE = 16;
/** 16^9 seconds are 2,177 years. Class 10 is for everything longer. */
export const SPAN_CLASS_MAX = 10;

/** The class of a span in microseconds. */
export function spanClass(spanUs: number): number {
  let limitUs = 1e6;
  let at = 0;
  while (at < SPAN_CLASS_MAX && !(spanUs < limitUs)) {
    limitUs *= SPAN_CLASS_BASE;
    at++;
  }
  return at;
}

/** The span that no chunk of a class reaches, in microseconds. */
export function spanLimitUs(at: number): number {
  return at >= SPAN_CLASS_MAX ? Number.POSITIVE_INFINITY : 1e6 * SPAN_CLASS_BASE ** at;
}

/** Writes rows of `chunks`. */
export class ChunkTable {
  readonly #insert;
  readonly #row = new Float64Array(ChunkField.Width);

  constructor(db: Database.Database) {
    this.#insert = db.prepare(
      `INSERT INTO chunks (device_id, epoch_id, first_sequence, last_sequence, position, span_class, first_us, last_us,
         bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
  }

  /** Inserts a framed chunk that {@link describeChunk} has described in `rows` at `at`. */
  insert(deviceId: number, epochId: number, position: number, rows: Float64Array, at: number, body: Uint8Array): void {
    const first = rows[at + ChunkField.FirstSequence];
    const last = first + rows[at + ChunkField.Items] - 1;
    const firstUs = rows[at + ChunkField.FirstUs];
    if (Number.isNaN(firstUs)) {
      this.#insert.run(deviceId, epochId, first, last, position, null, null, null, body.length, body);
      return;
    }
    const lastUs = rows[at + ChunkField.LastUs];
    const span = spanClass(lastUs - firstUs);
    this.#insert.run(deviceId, epochId, first, last, position, span, firstUs, lastUs, body.length, body);
  }

  /** Frames items, in order of sequence, into as few chunks as gaps and size allow, and inserts them; answers their bytes. */
  insertItems(deviceId: number, epochId: number, position: number, items: readonly CheckedItem[]): number {
    let bytes = 0;
    for (let from = 0; from < items.length; ) {
      const to = chunkEnd(items, from);
      let bodyBytes = 0;
      for (let index = from; index < to; index++) bodyBytes += items[index].body.length;
      const target = new Uint8Array(chunkBytesBound(to - from, bodyBytes));
      const end = writeChunk(items, from, to, target, 0);
      describeChunk(items, from, to, 0, end, this.#row, 0);
      this.insert(deviceId, epochId, position, this.#row, 0, target.subarray(0, end));
      bytes += end;
      from = to;
    }
    return bytes;
  }
}
