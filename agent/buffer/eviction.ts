import { normalRanges, rangeOf, type SequenceRanges } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferedItem, BufferState, ItemTable } from './item-table.js';
import { DECLARATION, declarationBytesMax, decodeDeclaration, EVICTED, LossList } from './loss-entries.js';
import { rowBytes } from './row-size.js';
import { decodeThinnedBatch, keptReadings, lossesOfThinned, THINNED_BATCH } from './thinned-batch.js';

/** Evicting a little more than is needed makes declarations rare: a part of the quota this large goes at once. */
const SLICE_OF_QUOTA = 64;
/** More than this at once would be felt as a pause, and as a large transaction on a full disk. */
const SLICE_BYTES_MAX = 256 * 1024;
const WALK_ROWS = 256;

export interface EvictionPlan {
  victims: SequenceRange[];
  /** Readings in the victims. */
  readings: number;
  /** What must be declared: the victims, and whatever those of them that declared something had declared. */
  entries: LedgerEntry[];
  /** Rows on the way whose bytes are not what was written. They are no victims. */
  damaged: Item[];
  /** What is still lacking when everything that may go has gone; 0 or less if there is room. */
  bytesOver: number;
  /** Below this sequence, everything that is left is protected or in doubt. */
  ordinaryFrom: number;
}

/** What the rows are to make room for. */
export interface RoomNeeded {
  needBytes: number;
  limitBytes: number;
  /** Sent and not answered, or about to be sent. */
  doubted: SequenceRanges;
  /** `ordinaryFrom` of the last plan, as long as doubt has not lifted from anything since. */
  ordinaryFrom: number;
}

/**
 * Chooses what goes so that `needBytes` more fit: oldest first, then what is protected, and last of all what is in doubt.
 * A declaration on its way stays, and so does a thinned item: their entries must not come again in another cut.
 */
export function planEviction(
  table: ItemTable,
  state: Readonly<BufferState>,
  isIntact: (item: Item) => boolean,
  { needBytes, limitBytes, doubted, ordinaryFrom }: RoomNeeded,
): EvictionPlan {
  const plan: EvictionPlan = { victims: [], readings: 0, entries: [], damaged: [], bytesOver: 0, ordinaryFrom };
  let freed = 0;
  const losses = new LossList(state.epoch, EVICTED);
  const carried: LedgerEntry[] = [];
  const over = (): number => {
    const fragments = losses.entries.length;
    const declaration = fragments === 0 ? 0 : rowBytes(declarationBytesMax(fragments + carried.length));
    return state.bytesStored - freed + needBytes + declaration - limitBytes;
  };
  plan.bytesOver = over();
  if (plan.bytesOver <= 0) return plan;

  const slice = Math.min(limitBytes / SLICE_OF_QUOTA, SLICE_BYTES_MAX);
  const isEnough = (): boolean => over() <= 0 && freed >= slice;
  const take = (item: Item): void => {
    if (!isIntact(item)) {
      plan.damaged.push(item);
      return;
    }
    freed += rowBytes(item.body.length);
    plan.readings += item.readings;
    losses.add(item.sequence, item.readings);
    plan.victims.push({ first: item.sequence, last: item.sequence });
    if (item.kind === DECLARATION) carried.push(...decodeDeclaration(item.body));
    if (item.kind === THINNED_BATCH) {
      const thinned = decodeThinnedBatch(item.body);
      plan.readings += keptReadings(thinned.kept);
      carried.push(...lossesOfThinned(thinned, EVICTED));
    }
  };
  plan.ordinaryFrom = walkItems(table, ordinaryFrom, doubted, (item) => {
    if (isEnough()) return false;
    if (!item.isProtected) take(item);
    return true;
  });
  if (over() > 0) {
    walkItems(table, 1, doubted, (item) => {
      if (isEnough()) return false;
      if (item.isProtected) take(item);
      return true;
    });
  }
  if (over() > 0 && doubted.length > 0) {
    walkItems(table, 1, [], (item) => {
      if (over() <= 0) return false;
      const declares = item.kind === DECLARATION || item.kind === THINNED_BATCH;
      if (!declares && rangeOf(doubted, item.sequence) !== undefined && isIntact(item)) take(item);
      return true;
    });
  }
  plan.victims = normalRanges(plan.victims);
  plan.entries = [...losses.entries, ...carried];
  plan.bytesOver = over();
  return plan;
}

/** Visits items in order, but not those in `without`, until `visit` says false; answers where it would go on. */
function walkItems(
  table: ItemTable,
  from: number,
  without: SequenceRanges,
  visit: (item: BufferedItem) => boolean,
): number {
  for (let next = from; ; ) {
    next = (rangeOf(without, next)?.last ?? next - 1) + 1;
    const rows = table.items(next, WALK_ROWS, SLICE_BYTES_MAX);
    if (rows.length === 0) return next;
    for (const item of rows) {
      next = item.sequence;
      // Behind a stretch that is left out the walk begins anew.
      if (rangeOf(without, next) !== undefined) break;
      if (!visit(item)) return next;
      next++;
    }
  }
}
