import { pushSequence, rangeOf } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferState, ItemTable } from './item-table.js';
import { DECLARATION, declarationBytesMax, decodeDeclaration, EVICTED, LossList } from './loss-entries.js';
import { rowBytes } from './row-size.js';

/** Evicting a little more than is needed makes declarations rare: a part of the quota this large goes at once. */
const SLICE_OF_QUOTA = 64;
/** More than this at once would be felt as a pause, and as a large transaction on a full disk. */
const SLICE_BYTES_MAX = 256 * 1024;
const WALK_ROWS = 256;

export interface EvictionPlan {
  victims: SequenceRange[];
  /** Readings in the victims. */
  readings: number;
  /** What must be declared: the victims, and whatever those of them that were declarations had declared. */
  entries: LedgerEntry[];
  /** Rows on the way whose bytes are not what was written. They are no victims. */
  damaged: Item[];
  /** What is still lacking when everything that may go has gone; 0 or less if there is room. */
  bytesOver: number;
}

/**
 * Chooses what goes so that `needBytes` more fit: oldest first, what was sent and not answered last. A declaration on its
 * way stays, since it is small and its entries must not come again in another cut.
 */
export function planEviction(
  table: ItemTable,
  state: Readonly<BufferState>,
  inDoubt: readonly SequenceRange[],
  isIntact: (item: Item) => boolean,
  needBytes: number,
  limitBytes: number,
): EvictionPlan {
  const plan: EvictionPlan = { victims: [], readings: 0, entries: [], damaged: [], bytesOver: 0 };
  let freed = 0;
  let fragments = 0;
  const carried: LedgerEntry[] = [];
  const over = (): number => {
    const declaration = fragments === 0 ? 0 : rowBytes(declarationBytesMax(fragments + carried.length));
    return state.bytesStored - freed + needBytes + declaration - limitBytes;
  };
  if (over() <= 0) return { ...plan, bytesOver: over() };

  const slice = Math.min(limitBytes / SLICE_OF_QUOTA, SLICE_BYTES_MAX);
  const losses = new LossList(state.epoch, EVICTED);
  const take = (item: Item): void => {
    freed += rowBytes(item.body.length);
    plan.readings += item.readings;
    losses.add(item.sequence, item.readings);
    fragments = losses.entries.length;
    pushSequence(plan.victims, item.sequence);
    if (item.kind === DECLARATION) carried.push(...decodeDeclaration(item.body));
  };
  walkItems(table, (item) => {
    if (over() <= 0 && freed >= slice) return false;
    if (!isIntact(item)) plan.damaged.push(item);
    else if (rangeOf(inDoubt, item.sequence) === undefined) take(item);
    return true;
  });
  if (over() > 0 && inDoubt.length > 0) {
    const doubted = new LossList(state.epoch, EVICTED);
    walkItems(table, (item) => {
      if (over() <= 0) return false;
      if (!isIntact(item) || item.kind === DECLARATION || rangeOf(inDoubt, item.sequence) === undefined) return true;
      freed += rowBytes(item.body.length);
      plan.readings += item.readings;
      doubted.add(item.sequence, item.readings);
      fragments = losses.entries.length + doubted.entries.length;
      plan.victims.push({ first: item.sequence, last: item.sequence });
      return true;
    });
    plan.entries.push(...doubted.entries);
  }
  plan.entries.push(...losses.entries, ...carried);
  plan.bytesOver = over();
  return plan;
}

/** Visits items from the oldest on until `visit` says false. */
function walkItems(table: ItemTable, visit: (item: Item) => boolean): void {
  for (let from = 1; ; ) {
    const rows = table.items(from, WALK_ROWS, SLICE_BYTES_MAX);
    if (rows.length === 0) return;
    for (const item of rows) if (!visit(item)) return;
    from = rows.at(-1)!.sequence + 1;
  }
}
