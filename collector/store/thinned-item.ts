import { ItemKind, ThinnedBatch } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CheckedItem } from './store.js';

/** Whether items of a kind hold readings, and so have event times. */
export function hasReadings(kind: ItemKind): boolean {
  return kind === ItemKind.BATCH || kind === ItemKind.THINNED_BATCH;
}

/** The body of a thinned item; undefined if it is none. */
export function readThinned(body: Uint8Array): ThinnedBatch | undefined {
  try {
    return ThinnedBatch.decode(body);
  } catch {
    return undefined;
  }
}

/**
 * Readings that an item holds. A thinned one says 0 in its head, because what it holds was counted with the items that it
 * replaces; its body says how many there are.
 */
export function readingsIn(item: Pick<CheckedItem, 'kind' | 'readings' | 'body' | 'kept'>): number {
  if (item.kind !== ItemKind.THINNED_BATCH) return item.readings;
  return item.kept ?? readThinned(item.body)?.readings ?? 0;
}

/** The batch that an item with readings holds, encoded. */
export function batchBytes(item: Pick<CheckedItem, 'kind' | 'body'>): Uint8Array {
  if (item.kind !== ItemKind.THINNED_BATCH) return item.body;
  return readThinned(item.body)?.batch ?? item.body;
}

/**
 * Where a batch stands in its device's history: a thinned one at the first sequence that it replaces, which is older than
 * its own. `entries` are what it replaces, where they are known already.
 */
export function lineSequence(
  item: Pick<CheckedItem, 'kind' | 'body' | 'sequence' | 'entries'>,
  epoch: Uint8Array,
): number {
  if (item.kind !== ItemKind.THINNED_BATCH) return item.sequence;
  let earliest = item.sequence;
  for (const entry of item.entries ?? readThinned(item.body)?.replaced ?? []) {
    if (Buffer.compare(entry.epoch, epoch) === 0) earliest = Math.min(earliest, entry.first);
  }
  return earliest;
}
