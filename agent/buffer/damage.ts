import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferState, ItemTable } from './item-table.js';
import { CORRUPT } from './loss-entries.js';

/**
 * How many readings are lost with damaged items of consecutive sequences, which are out of the table already. The
 * cumulative counts of intact neighbours give the number exactly; where a neighbour has gone up already, the damaged
 * headers are believed if they lead without a break to the other one. Otherwise it is a bound.
 */
export function damagedReadings(
  table: ItemTable,
  state: Readonly<BufferState>,
  run: readonly Item[],
  isIntact: (item: Item) => boolean,
): { readings: number; bound: boolean } {
  const first = run[0].sequence;
  const last = run.at(-1)!.sequence;
  let upper = state.readingsProduced;
  let touchesUpper = last === state.highestSequence;
  const [next] = table.items(last + 1, 1, 1);
  if (next !== undefined) {
    const known = isIntact(next);
    if (known) upper = next.readingsBefore;
    touchesUpper = known && next.sequence === last + 1;
  }
  let lower = 0;
  let touchesLower = first === 1;
  const before = table.headerBefore(first);
  if (before !== undefined) {
    const [previous] = table.items(before.sequence, 1, 1);
    const known = isIntact(previous);
    if (known) lower = previous.readingsBefore + previous.readings;
    touchesLower = known && previous.sequence === first - 1;
  }
  if (touchesUpper && touchesLower) return { readings: upper - lower, bound: false };
  let end = upper;
  for (const item of run.toReversed()) {
    if (item.readingsBefore + item.readings !== end) return { readings: upper - lower, bound: true };
    end = item.readingsBefore;
  }
  return touchesUpper ? { readings: upper - end, bound: false } : { readings: upper - lower, bound: true };
}

/**
 * Everything below a sequence that is not in the table, with a bound: what a damaged declaration may have declared. Most
 * of it is stored at the collector, and stored beats declared.
 */
export function gapsBelow(table: ItemTable, state: Readonly<BufferState>, sequence: number): LedgerEntry[] {
  const gaps: LedgerEntry[] = [];
  let nextSequence = 1;
  let readingsBefore = 0;
  const gapUntil = (last: number, readings: number): void => {
    if (last < nextSequence) return;
    const { epoch } = state;
    gaps.push({ epoch, first: nextSequence, last, readings: Math.max(0, readings), bound: true, reason: CORRUPT });
  };
  for (;;) {
    const headers = table.headers(nextSequence, sequence - 1, 256);
    for (const header of headers) {
      gapUntil(header.sequence - 1, header.readingsBefore - readingsBefore);
      nextSequence = header.sequence + 1;
      readingsBefore = header.readingsBefore + header.readings;
    }
    if (headers.length < 256) break;
  }
  const [above] = table.headers(sequence, Number.MAX_SAFE_INTEGER, 1);
  gapUntil(sequence - 1, (above?.readingsBefore ?? state.readingsProduced) - readingsBefore);
  return gaps;
}
