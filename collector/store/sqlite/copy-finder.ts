import { SegmentLine } from '@tributary/core/clock/clock-observation';
import type { ClockAnchor, SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type Database from 'better-sqlite3';
import { readChunk } from '../chunk.js';
import type { CheckedItem } from '../store.js';
import { batchBytes, hasReadings } from '../thinned-item.js';
import { SPAN_CLASS_MAX, spanLimitUs } from './chunk-table.js';

/** Chunks that one item is compared with at the most: those of one moment, some for each epoch that a copy has opened. */
const CHUNKS_MAX = 32;

/** An offset that was settled anew moves the times by less than this, or else its new value is looked for as well. */
const SLACK_US = 2_000_000;

/** A segment of another epoch that is the same part of the same boot. */
interface Twin {
  epochId: number;
  line: SegmentLine;
}

interface FoundChunk {
  epochId: number;
  items: readonly CheckedItem[];
}

/**
 * Finds what a device's other epochs hold of an item: copies of one buffer (an image, a cloned card) each move what waits to
 * an epoch of their own, under other sequences. A body names its segment, and its times are on that segment's line; so with
 * the same boot behind the segment, equal bytes are the same readings.
 *
 * Candidates are found by event time, as it was frozen here and as it may have been there. Readings that have expired are
 * not found.
 */
export class CopyFinder {
  readonly #bootOf;
  readonly #segmentsOf;
  readonly #anchorsOf;
  readonly #inRange;
  /** By epoch and segment; of one commit. */
  readonly #twins = new Map<string, readonly Twin[]>();
  /** What was found last: items come in runs, in the same order. */
  #last: FoundChunk | undefined;

  constructor(db: Database.Database) {
    this.#bootOf = db
      .prepare<[number, number, number], string>(
        'SELECT boot_id FROM segments WHERE device_id = ? AND epoch_id = ? AND id = ?',
      )
      .pluck();
    this.#segmentsOf = db.prepare<[number, number, number, string], SegmentDeclaration & { epochId: number }>(
      `SELECT epochs.epoch_id AS epochId, id, boot_id AS bootId, offset_us AS offsetUs, observed_at_us AS observedAtUs,
         uncertainty_us AS uncertaintyUs, state
       FROM epochs JOIN segments ON segments.device_id = epochs.device_id AND segments.epoch_id = epochs.epoch_id
       WHERE epochs.device_id = ? AND epochs.epoch_id <> ? AND id = ? AND boot_id = ?`,
    );
    this.#anchorsOf = db.prepare<[number, number, number], ClockAnchor>(
      `SELECT id, segment, at_us AS atUs, offset_us AS offsetUs, uncertainty_us AS uncertaintyUs, state FROM anchors
       WHERE device_id = ? AND epoch_id = ? AND segment = ? ORDER BY id`,
    );
    this.#inRange = Array.from({ length: SPAN_CLASS_MAX + 1 }, () =>
      db.prepare<[number, number, number, number, number, number, number], { epoch_id: number; body: Buffer }>(
        `SELECT epoch_id, body FROM chunks WHERE device_id = ? AND span_class = ? AND first_us > ? AND first_us <= ?
           AND last_us >= ? AND epoch_id <> ? LIMIT ?`,
      ),
    );
  }

  /** What is remembered holds within one commit. */
  forget(): void {
    this.#twins.clear();
    this.#last = undefined;
  }

  /** Whether another epoch of the device holds the same readings. Declarations may come twice: they say the same. */
  isStored(deviceId: number, epochId: number, item: CheckedItem): boolean {
    if (!hasReadings(item.kind)) return false;
    const segment = segmentOf(batchBytes(item));
    const twins = segment === 0 ? undefined : this.#twinsOf(deviceId, epochId, segment);
    if (twins?.length === 0) return false;
    const isTwin = (other: number) => twins === undefined || twins.some((twin) => twin.epochId === other);
    if (this.#last !== undefined && isTwin(this.#last.epochId) && holds(this.#last.items, item)) return true;
    const lineUs = item.firstUs - item.offsetUs;
    const offsets = new Set([item.offsetUs, ...(twins ?? []).map(({ line }) => line.at(lineUs).offsetUs)]);
    for (const offsetUs of offsets) {
      const fromUs = lineUs + offsetUs - SLACK_US;
      const untilUs = item.lastUs - item.offsetUs + offsetUs + SLACK_US;
      for (const chunk of this.#between(deviceId, epochId, fromUs, untilUs)) {
        if (!isTwin(chunk.epochId) || !holds(chunk.items, item)) continue;
        this.#last = chunk;
        return true;
      }
    }
    return false;
  }

  /** The segments of other epochs that are this one, because a buffer takes them along when it moves. */
  #twinsOf(deviceId: number, epochId: number, segment: number): readonly Twin[] {
    const key = `${deviceId}/${epochId}/${segment}`;
    let twins = this.#twins.get(key);
    if (twins === undefined) {
      const boot = this.#bootOf.get(deviceId, epochId, segment);
      const others = boot === undefined ? [] : this.#segmentsOf.all(deviceId, epochId, segment, boot);
      twins = others.map((declared) => ({
        epochId: declared.epochId,
        line: new SegmentLine(declared, this.#anchorsOf.all(deviceId, declared.epochId, segment)),
      }));
      this.#twins.set(key, twins);
    }
    return twins;
  }

  *#between(deviceId: number, epochId: number, fromUs: number, untilUs: number): Iterable<FoundChunk> {
    let left = CHUNKS_MAX;
    for (let at = 0; at < this.#inRange.length && left > 0; at++) {
      const firstUs = fromUs - spanLimitUs(at);
      const rows = this.#inRange[at].all(deviceId, at, firstUs, untilUs, fromUs, epochId, left);
      left -= rows.length;
      for (const { epoch_id, body } of rows) yield { epochId: epoch_id, items: readChunk(body) ?? [] };
    }
  }
}

function holds(items: readonly CheckedItem[], { kind, readings, body }: CheckedItem): boolean {
  return items.some(
    (other) =>
      other.kind === kind &&
      other.readings === readings &&
      other.body.length === body.length &&
      Buffer.compare(other.body, body) === 0,
  );
}

/** Of an encoded batch; 0 for the absolute one. FORMAT.md: the segment is the first field, if it is not 0. */
function segmentOf(batch: Uint8Array): number {
  if (batch[0] !== 0x08) return 0;
  let segment = 0;
  for (let at = 1, scale = 1; at < batch.length; at++, scale *= 0x80) {
    segment += (batch[at] & 0x7f) * scale;
    if (batch[at] < 0x80) break;
  }
  return segment;
}
