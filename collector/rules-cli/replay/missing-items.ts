import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CheckedItem } from '../../store/store.js';
import { readThinned } from '../../store/thinned-item.js';

interface Line {
  sequence: number;
  /** Readings that the epoch had produced behind the newest item; Infinity where that cannot be told. */
  readings: number;
}

/**
 * Tells, from the items of one device in order of their times, where readings are missing: an item's header counts the
 * readings before it, so what lies between it and the one before in its epoch is known, whether it was declared lost, has
 * expired or has not come yet.
 */
export class MissingItems {
  readonly #lines = new Map<number, Line>();

  /** Whether readings are missing before this item. To be asked once for each, in order of the first event time. */
  before(item: CheckedItem, epochId: number): boolean {
    const line = this.#lines.get(epochId);
    const isFirstEpoch = this.#lines.size === 0;
    if (item.kind === ItemKind.THINNED_BATCH) {
      this.#lines.set(epochId, { sequence: Math.max(line?.sequence ?? 0, lastReplaced(item)), readings: Infinity });
      return false;
    }
    const { sequence, readingsBefore, readings } = item;
    // Of clocks that stepped, items may stand before earlier ones; they fill what was taken for missing, or nothing.
    if (line !== undefined && sequence <= line.sequence) return false;
    this.#lines.set(epochId, { sequence, readings: readingsBefore + readings });
    if (line === undefined) return !isFirstEpoch && readingsBefore > 0;
    return readingsBefore > line.readings;
  }
}

/** A thinned item holds real readings of the items that it replaces, and stands where they stood. */
function lastReplaced(item: CheckedItem): number {
  const replaced = item.entries ?? readThinned(item.body)?.replaced ?? [];
  return replaced.reduce((last, entry) => Math.max(last, entry.last), 0);
}
