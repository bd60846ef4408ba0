import type { DecodeArena } from '@tributary/proto/batch/arena';
import type { BatchLimits } from '@tributary/proto/batch/batch-limits';
import { type LedgerEntry, LossReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import { readThinned } from '../store/thinned-item.js';
import { checkBatch, ENTRIES_MAX, type Refusal, rejected } from './check-item.js';
import type { IngestLimits } from './ingest-limits.js';
import type { PendingItem } from './pending-item.js';

const { MALFORMED, COUNT, TOO_LARGE } = RejectionReason;

/**
 * Reads and checks a thinned batch: what it replaces, and the batch within as any other. Whether one of the originals is
 * stored already only the store can say.
 */
export function checkThinned(
  item: PendingItem,
  arena: DecodeArena,
  limits: IngestLimits,
  batchLimits: Readonly<BatchLimits>,
  nowUs: number,
): Refusal | undefined {
  if (item.readings !== 0) {
    return rejected(COUNT, `readings: ${item.readings}; those of a thinned batch were counted with what it replaces`);
  }
  const thinned = readThinned(item.body);
  if (thinned === undefined) return rejected(MALFORMED, 'body: not a ThinnedBatch');
  const { replaced, readings, batch, kept } = thinned;
  if (readings > limits.batchReadingsMax) {
    return rejected(TOO_LARGE, `readings: ${readings}; at most ${limits.batchReadingsMax} are taken`);
  }
  const problem = checkReplaced(item, replaced);
  if (problem !== undefined) return problem;
  const keptReadings = kept.reduce((sum, one) => sum + one, 0);
  if (kept.length !== replaced.length || keptReadings !== readings) {
    const detail = `kept: ${kept.length} counts, ${keptReadings} readings; one for each of the ${replaced.length} in replaced is needed, ${readings} together`;
    return rejected(COUNT, detail);
  }
  const refusal = checkBatch(item, arena, batchLimits, nowUs, batch, readings);
  if (refusal !== undefined) return refusal;
  item.kept = readings;
  item.entries = replaced;
  return undefined;
}

function checkReplaced(item: PendingItem, replaced: readonly LedgerEntry[]): Refusal | undefined {
  if (replaced.length === 0) return rejected(MALFORMED, 'replaced: empty; name the sequences that it stands for');
  if (replaced.length > ENTRIES_MAX) {
    return rejected(TOO_LARGE, `replaced: ${replaced.length} entries; at most ${ENTRIES_MAX} are taken`);
  }
  const [{ epoch }] = replaced;
  if (epoch.length !== EPOCH_BYTES) {
    return rejected(MALFORMED, `replaced.epoch: ${epoch.length} bytes; ${EPOCH_BYTES} are needed`);
  }
  const isOwn = Buffer.compare(epoch, item.epoch) === 0;
  const ordered = [...replaced].sort((a, b) => a.first - b.first);
  let covered = 0;
  for (const entry of ordered) {
    const { first, last, bound, reason } = entry;
    const range = `replaced: ${first} to ${last}`;
    if (Buffer.compare(entry.epoch, epoch) !== 0) {
      return rejected(MALFORMED, 'replaced.epoch: two different ones; a thinned batch stands for items of one epoch');
    }
    if (first < 1 || last < first) return rejected(MALFORMED, `${range}; sequences count up from 1`);
    if (first <= covered) return rejected(MALFORMED, `${range}; ${covered} is named twice`);
    if (isOwn && last >= item.sequence) {
      return rejected(MALFORMED, `${range}; all must lie below its own sequence ${item.sequence}`);
    }
    if (reason !== LossReason.THINNED) return rejected(MALFORMED, `${range}: reason ${reason}; 2 (thinned) is needed`);
    if (bound) return rejected(MALFORMED, `${range}: a bound; the device knows how many it left out`);
    covered = last;
  }
  return undefined;
}
