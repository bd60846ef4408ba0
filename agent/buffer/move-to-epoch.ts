import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { type Catalogue, isCrowded } from './catalogue.js';
import type { CountedRows } from './counted-rows.js';
import type { ClockIds } from './item-table.js';
import { BATCH, EVICTED, LossList } from './loss-entries.js';
import { decodeThinnedBatch, THINNED_BATCH } from './thinned-batch.js';
import { TRANSITION, transitionIds } from './transition-ids.js';

/**
 * Within a transaction: moves all rows to a new epoch (16 random bytes), under sequences from 1. In the new epoch their
 * readings count as produced there; in the old one the sequences are declared with 0 readings lost, by an item of the new
 * epoch. Of a crowded catalogue only the segments come along that something may still refer to; answers below which one
 * they were dropped, undefined where none were.
 */
export function moveToEpoch(rows: CountedRows, catalogue: Catalogue, epoch: Uint8Array): ClockIds | undefined {
  const below = isCrowded(catalogue) ? catalogue.belowSegment(firstSegmentNeeded(rows, catalogue)) : undefined;
  if (below !== undefined) rows.table.dropClocks(below);
  const damaged: Item[] = [];
  rows.walkItems(1, (item) => {
    if (!rows.isIntact(item)) damaged.push(item);
  });
  const lost = rows.removeDamaged(damaged);
  const moved = new LossList(rows.state.epoch, EVICTED);
  let sequence = 0;
  let readingsBefore = 0;
  rows.walkItems(1, (item) => {
    moved.add(item.sequence, 0);
    sequence++;
    const checksum = itemChecksum(epoch, sequence, item.kind, item.readings, readingsBefore, item.body);
    rows.table.deleteRange(item.sequence, item.sequence);
    rows.table.put({ ...item, sequence, readingsBefore, checksum });
    readingsBefore += item.readings;
  });
  rows.state = {
    ...rows.state,
    epoch,
    highestSequence: sequence,
    readingsProduced: readingsBefore,
    isSuspect: false,
    isSending: false,
    inDoubt: [],
  };
  rows.appendDeclaration([...moved.entries, ...lost]);
  return below;
}

/** The lowest segment that a row refers to; the newest is always needed, by whatever is in memory. */
function firstSegmentNeeded(rows: CountedRows, catalogue: Catalogue): number {
  let first = catalogue.sizes.segments;
  const arena = new DecodeArena();
  rows.walkItems(1, ({ kind, body }) => {
    if (kind === TRANSITION) {
      first = Math.min(first, ...transitionIds(body).segments);
    }
    if (kind !== BATCH && kind !== THINNED_BATCH) return;
    try {
      const { segment } = decodeBatch(kind === BATCH ? body : decodeThinnedBatch(body).batch, arena);
      if (segment > 0) first = Math.min(first, segment);
    } catch {
      // Nobody can tell what it refers to, so all of it is kept.
      first = 1;
    }
    arena.reset();
  });
  return first;
}
