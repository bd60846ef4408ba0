import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import type { CommittedTransition } from '../ingest/committed.js';
import type { CatalogueSeries, CheckedItem, StoredItems } from '../store/store.js';

/**
 * A transition as it was followed the first time, from what is stored of it; undefined for an item of another kind, and for
 * one about a series that the store does not know any more.
 */
export function storedTransition(
  item: CheckedItem,
  { deviceId, position }: Pick<StoredItems, 'deviceId' | 'position'>,
  catalogue: readonly (CatalogueSeries | undefined)[],
): CommittedTransition | undefined {
  if (item.kind !== ItemKind.TRANSITION) return undefined;
  let transition: IncidentTransition;
  try {
    transition = IncidentTransition.decode(item.body);
  } catch {
    // A newer version wrote it, or the store is damaged: its audit says which.
    return undefined;
  }
  const series = catalogue[transition.seriesId];
  if (series === undefined && transition.seriesId !== 0) return undefined;
  const { lane, firstUs: startedAtUs, lastUs: transitionAtUs } = item;
  return { deviceId, position, lane, startedAtUs, transitionAtUs, series, transition };
}
