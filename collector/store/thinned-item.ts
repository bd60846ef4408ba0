import { ItemKind, type LedgerEntry, ThinnedBatch } from '@tributary/proto/gen/tributary/v1/telemetry';
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

/** What a thinned item replaces; empty for all others. */
export function replacedBy(item: Pick<CheckedItem, 'kind' | 'body' | 'entries'>): readonly LedgerEntry[] {
  if (item.kind !== ItemKind.THINNED_BATCH) return [];
  return item.entries ?? readThinned(item.body)?.replaced ?? [];
}
