import { itemChecksum } from '@tributary/proto/items/item';
import type Database from 'better-sqlite3';
import { ChunkCursor } from '../chunk.js';
import type { DerivedMark, ReadingsRange } from '../store.js';
import { hasReadings } from '../thinned-item.js';
import { SPAN_CLASS_MAX, spanLimitUs } from './chunk-table.js';

/** A stored chunk as it goes to the other thread, which makes items of those that are picked. */
export interface PickedChunk {
  epochId: number;
  epoch: Uint8Array<ArrayBuffer>;
  position: number;
  body: Uint8Array<ArrayBuffer>;
}

/** Stored bytes that are not what was once written. They are never answered; an audit counts them as missing. */
export interface Damage {
  deviceId: number;
  epochId: number;
  first: number;
  last: number;
}

export interface ReadPage {
  chunks: PickedChunk[];
  /** Pairs: index of the chunk, index of the item in it. */
  picks: Uint32Array<ArrayBuffer>;
  next: string;
  damage: Damage[];
}

interface ChunkRow {
  chunk_id: number;
  device_id: number;
  epoch_id: number;
  first_sequence: number;
  last_sequence: number;
  position: number;
  first_us: number;
  body: Buffer;
  epoch: Buffer;
}

interface MarkRow {
  device_id: number;
  derived_mark: number;
  rollups_kept_before: number | null;
  rollups_kept_position: number;
}

/** An item that a range query may answer next. */
interface Candidate {
  firstUs: number;
  epochId: number;
  sequence: number;
  chunk: OpenChunk;
  item: number;
  bytes: number;
}

interface OpenChunk {
  row: ChunkRow;
  /** Where it stands in the page; undefined until one of its items is picked. */
  index: number | undefined;
}

const CHUNK_COLUMNS = `chunk_id, device_id, epoch_id, first_sequence, last_sequence, position, first_us, body,
  (SELECT epoch FROM epochs WHERE epochs.device_id = chunks.device_id AND epochs.epoch_id = chunks.epoch_id) AS epoch`;

/** Reads stored items, each verified against its checksum. */
export class ChunkReads {
  readonly #undigested;
  readonly #marks;
  readonly #mark;
  readonly #afterPosition;
  readonly #inRange;
  readonly #body;
  readonly #readAfter;
  readonly #readRange;

  constructor(db: Database.Database) {
    const marks = 'SELECT device_id, derived_mark, rollups_kept_before, rollups_kept_position FROM devices';
    this.#undigested = db.prepare<[], MarkRow>(`${marks} WHERE position > derived_mark`);
    this.#marks = db.prepare<[], MarkRow>(marks);
    this.#mark = db.prepare<[number], MarkRow>(`${marks} WHERE device_id = ?`);
    this.#afterPosition = db.prepare<[number, number], ChunkRow>(
      `SELECT ${CHUNK_COLUMNS} FROM chunks WHERE device_id = ? AND position > ? ORDER BY position, chunk_id`,
    );
    this.#inRange = Array.from({ length: SPAN_CLASS_MAX + 1 }, () =>
      db.prepare<[number, number, number, number, number], { chunk_id: number; first_us: number }>(
        `SELECT chunk_id, first_us FROM chunks
         WHERE device_id = ? AND span_class = ? AND first_us > ? AND first_us < ? AND last_us >= ? ORDER BY first_us`,
      ),
    );
    this.#body = db.prepare<[number], ChunkRow>(`SELECT ${CHUNK_COLUMNS} FROM chunks WHERE chunk_id = ?`);
    this.#readAfter = db.transaction((deviceId: number, position: number, maxBytes: number) =>
      this.#pageAfter(deviceId, position, maxBytes),
    );
    this.#readRange = db.transaction((range: ReadingsRange, after: string, maxBytes: number) =>
      this.#pageInRange(range, after, maxBytes),
    );
  }

  /** Devices with commits after their mark, and the mark. */
  undigested(): DerivedMark[] {
    return this.#undigested.all().map(toMark);
  }

  /** See {@link Store.derivedMarks}. */
  derivedMarks(deviceId?: number): DerivedMark[] {
    return (deviceId === undefined ? this.#marks.all() : this.#mark.all(deviceId)).map(toMark);
  }

  /** Whole commits after a position, about so many bytes of them. */
  readAfter(deviceId: number, position: number, maxBytes: number): ReadPage {
    return this.#readAfter(deviceId, position, maxBytes);
  }

  /** Batches that touch the range, in order of (first event time, epoch, sequence). */
  readRange(range: ReadingsRange, after: string, maxBytes: number): ReadPage {
    return this.#readRange(range, after, maxBytes);
  }

  #pageAfter(deviceId: number, position: number, maxBytes: number): ReadPage {
    const page = new PageBuilder();
    let bytes = 0;
    let last = position;
    for (const row of this.#afterPosition.iterate(deviceId, position)) {
      // A page of nothing but damage would look like the end.
      if (bytes >= maxBytes && row.position !== last && !page.isEmpty) break;
      last = row.position;
      bytes += row.body.length;
      const chunk: OpenChunk = { row, index: undefined };
      page.walk(chunk, (_cursor, item) => page.pick(chunk, item));
    }
    return page.finish('');
  }

  #pageInRange(range: ReadingsRange, after: string, maxBytes: number): ReadPage {
    const { deviceId, fromUs, untilUs } = range;
    const cursorAfter = after === '' ? undefined : parseCursor(after);
    const page = new PageBuilder();
    const classes = this.#inRange.map((statement, at) =>
      // A class's spans are below its limit, so whatever touches the range begins less than that before it.
      statement.iterate(
        deviceId,
        at,
        fromUs - spanLimitUs(at),
        untilUs,
        Math.max(fromUs, cursorAfter?.firstUs ?? fromUs),
      ),
    );
    try {
      const heads = classes.map((rows) => rows.next());
      const pending: Candidate[] = [];
      let bytes = 0;
      let last: Candidate | undefined;
      for (;;) {
        let next = -1;
        for (let at = 0; at < heads.length; at++) {
          const head = heads[at];
          if (!head.done && (next < 0 || head.value.first_us < (heads[next].value as { first_us: number }).first_us))
            next = at;
        }
        const nextUs = next < 0 ? Number.POSITIVE_INFINITY : (heads[next].value as { first_us: number }).first_us;
        const candidate = pending.at(-1);
        if (candidate !== undefined && candidate.firstUs < nextUs) {
          if (bytes >= maxBytes && last !== undefined) return page.finish(formatCursor(last));
          pending.pop();
          page.pick(candidate.chunk, candidate.item);
          bytes += candidate.bytes;
          last = candidate;
          continue;
        }
        if (next < 0) return page.finish('');
        const row = this.#body.get((heads[next].value as { chunk_id: number }).chunk_id) as ChunkRow;
        heads[next] = classes[next].next();
        const chunk: OpenChunk = { row, index: undefined };
        page.walk(chunk, (cursor, item) => {
          const isAsked = hasReadings(cursor.kind) && cursor.firstUs < untilUs && cursor.lastUs >= fromUs;
          if (!isAsked) return;
          const { firstUs, sequence } = cursor;
          const bytes = cursor.bodyEnd - cursor.bodyStart;
          const candidate = { firstUs, epochId: row.epoch_id, sequence, chunk, item, bytes };
          if (cursorAfter === undefined || compare(candidate, cursorAfter) > 0) pending.push(candidate);
        });
        // The earliest last, so that taking it moves nothing.
        pending.sort((a, b) => compare(b, a));
      }
    } finally {
      for (const rows of classes) rows.return?.();
    }
  }
}

function toMark(row: MarkRow): DerivedMark {
  const { rollups_kept_position: position, rollups_kept_before: beforeSeconds } = row;
  const kept = beforeSeconds === null ? undefined : { position, beforeUs: beforeSeconds * 1e6 };
  return { deviceId: row.device_id, position: row.derived_mark, kept };
}

/** Collects picked items and the chunks that they are in. */
class PageBuilder {
  readonly #chunks: PickedChunk[] = [];
  readonly #picks: number[] = [];
  readonly #damage: Damage[] = [];
  readonly #cursor = new ChunkCursor();

  get isEmpty(): boolean {
    return this.#picks.length === 0;
  }

  /** Calls `visit` for each item whose bytes are as they were sent; notes the rest as damage. */
  walk(chunk: OpenChunk, visit: (cursor: ChunkCursor, item: number) => void): void {
    const { row } = chunk;
    const cursor = this.#cursor;
    if (!cursor.open(row.body)) {
      this.#noteDamage(row, row.first_sequence, row.last_sequence);
      return;
    }
    for (let item = 0; cursor.next(); item++) {
      if (isWhole(cursor, row.epoch)) visit(cursor, item);
      else this.#noteDamage(row, cursor.sequence, cursor.sequence);
    }
  }

  pick(chunk: OpenChunk, item: number): void {
    if (chunk.index === undefined) {
      const { epoch_id: epochId, epoch, position, body } = chunk.row;
      chunk.index = this.#chunks.length;
      // A copy that owns its memory, which can then move to the other thread.
      this.#chunks.push({ epochId, epoch: Uint8Array.from(epoch), position, body: Uint8Array.from(body) });
    }
    this.#picks.push(chunk.index, item);
  }

  finish(next: string): ReadPage {
    return { chunks: this.#chunks, picks: Uint32Array.from(this.#picks), next, damage: this.#damage };
  }

  #noteDamage(row: ChunkRow, first: number, last: number): void {
    this.#damage.push({ deviceId: row.device_id, epochId: row.epoch_id, first, last });
  }
}

/** Whether the cursor's item is as the device sent it. */
export function isWhole(cursor: ChunkCursor, epoch: Uint8Array): boolean {
  const { sequence, kind, readings, readingsBefore, checksum } = cursor;
  return itemChecksum(epoch, sequence, kind, readings, readingsBefore, cursor.body()) === checksum;
}

type RangeCursor = Pick<Candidate, 'firstUs' | 'epochId' | 'sequence'>;

function compare(a: RangeCursor, b: RangeCursor): number {
  return a.firstUs - b.firstUs || a.epochId - b.epochId || a.sequence - b.sequence;
}

function formatCursor({ firstUs, epochId, sequence }: RangeCursor): string {
  return `${firstUs}:${epochId}:${sequence}`;
}

/** A cursor comes back from clients; one that we never gave means the beginning. */
function parseCursor(text: string): RangeCursor | undefined {
  const [firstUs, epochId, sequence, ...rest] = text.split(':').map(Number);
  if (rest.length > 0 || ![firstUs, epochId, sequence].every(Number.isFinite)) return undefined;
  return { firstUs, epochId, sequence };
}
