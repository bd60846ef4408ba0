import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CheckedItem } from '../../store/store.js';
import { readThinned } from '../../store/thinned-item.js';

/** Readings are missing before an event time. */
export interface Break {
  atUs: number;
  /** Up to here, before `atUs`, nothing was missing: time has passed for rules. */
  leftUs: number;
}

/** How far the items of an epoch have come. */
interface Line {
  sequence: number;
  /** Readings that the epoch had produced behind the newest item; Infinity where that cannot be told. */
  readings: number;
  /** Event time of the latest reading. */
  lastUs: number;
}

/**
 * Tells, from the items of one device in order of their times, where readings are missing: an item's header counts the
 * readings before it, so what lies between it and the one before in its epoch is known, whether it was declared lost, has
 * expired or has not come yet. Between two epochs nobody knows.
 */
export class MissingItems {
  readonly #lines = new Map<number, Line>();
  #latestUs = Number.NEGATIVE_INFINITY;

  /** What is missing right before this item, if anything is. To be asked once for each, in order of the first event time. */
  before(item: CheckedItem, epochId: number): Break[] {
    const line = this.#lines.get(epochId);
    const isMissing = this.#passes(item, epochId, line);
    const leftUs = line?.lastUs ?? this.#latestUs;
    this.#latestUs = Math.max(this.#latestUs, item.lastUs);
    if (!isMissing) return [];
    // Series differ in how far they had come: for some of them the missing readings are behind the end of the item before.
    const first = { atUs: item.firstUs, leftUs: Math.min(leftUs, item.firstUs - 1) };
    return leftUs < item.firstUs ? [first] : [first, { atUs: leftUs + 1, leftUs }];
  }

  /** Moves the line of the epoch on; answers whether something is missing. */
  #passes(item: CheckedItem, epochId: number, line: Line | undefined): boolean {
    const isFirstEpoch = this.#lines.size === 0;
    const lastUs = Math.max(line?.lastUs ?? Number.NEGATIVE_INFINITY, item.lastUs);
    if (item.kind === ItemKind.THINNED_BATCH) {
      // It holds real readings of what it replaces, and stands where that stood.
      const sequence = Math.max(line?.sequence ?? 0, lastReplaced(item));
      this.#lines.set(epochId, { sequence, readings: Number.POSITIVE_INFINITY, lastUs });
      return false;
    }
    const { sequence, readingsBefore, readings } = item;
    // Of clocks that stepped, items may stand before earlier ones; they fill what was taken for missing, or nothing.
    if (line !== undefined && sequence <= line.sequence) return false;
    this.#lines.set(epochId, { sequence, readings: readingsBefore + readings, lastUs });
    return line === undefined ? !isFirstEpoch : readingsBefore > line.readings;
  }
}

function lastReplaced(item: CheckedItem): number {
  const replaced = item.entries ?? readThinned(item.body)?.replaced ?? [];
  return replaced.reduce((last, entry) => Math.max(last, entry.last), 0);
}
