import type { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch } from '@tributary/proto/batch/batch';
import { BatchError } from '@tributary/proto/batch/batch-error';
import type { BatchLimits } from '@tributary/proto/batch/batch-limits';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import {
  DeferralReason,
  ItemKind,
  type LedgerEntry,
  LossDeclaration,
  LossReason,
  RejectionReason,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import { EPOCH_BYTES, type Item, itemChecksum } from '@tributary/proto/items/item';
import type { EpochSession } from './device-session.js';
import { type EventTimeSpan, findEventTimeSpan } from './event-time.js';
import type { IngestLimits } from './ingest-limits.js';
import type { PendingItem } from './pending-item.js';

/** Why an item is not handed to the store; undefined where it is. */
export type Refusal =
  | { verdict: 'rejected'; reason: RejectionReason; detail: string }
  | { verdict: 'later'; reason: DeferralReason };

/** A declaration names gaps; more than this in one is not a device that lost readings but one that attacks the ledger. */
export const ENTRIES_MAX = 4096;

/**
 * How far an event time may be ahead of the collector's clock before it is flagged: twice what a device's clock may be off
 * and still count as synchronised.
 */
export const FUTURE_TOLERANCE_US = 10_000_000;

const registerAgain: Refusal = { verdict: 'later', reason: DeferralReason.REGISTER_AGAIN };
const unknownEncoding: Refusal = { verdict: 'later', reason: DeferralReason.UNKNOWN_ENCODING };
const future: Refusal = { verdict: 'later', reason: DeferralReason.FUTURE };

export const rejected = (reason: RejectionReason, detail: string): Refusal => ({ verdict: 'rejected', reason, detail });

/** Checks that need no look into the body beyond its checksum, cheapest first. */
export function checkEnvelope(item: Item, epoch: EpochSession, limits: IngestLimits): Refusal | undefined {
  const { body, readings } = item;
  if (body.length > limits.itemBytesMax) {
    return rejected(RejectionReason.TOO_LARGE, `body: ${body.length} bytes; at most ${limits.itemBytesMax} are taken`);
  }
  if (readings > limits.batchReadingsMax) {
    return rejected(RejectionReason.TOO_LARGE, `readings: ${readings}; at most ${limits.batchReadingsMax} are taken`);
  }
  const checksum = itemChecksum(epoch.epoch, item.sequence, item.kind, readings, item.readingsBefore, body);
  if (checksum !== item.checksum) {
    const [said, is] = [item.checksum, checksum].map((value) => value.toString(16).padStart(8, '0'));
    return rejected(RejectionReason.CHECKSUM, `checksum: ${said}; the bytes that came have ${is}`);
  }
  if (item.sequence > epoch.highest + limits.sequencesAheadMax) return future;
  if (item.kind === ItemKind.BATCH || item.kind === ItemKind.DECLARATION) return undefined;
  if (item.kind === ItemKind.THINNED_BATCH || item.kind === ItemKind.TRANSITION) return undefined;
  if (item.kind === ItemKind.UNSPECIFIED) return rejected(RejectionReason.MALFORMED, 'kind: none is given');
  return unknownEncoding;
}

const span: EventTimeSpan = { firstUs: 0, lastUs: 0, any: false };

/** Objects of a column, and of a string in a dictionary. */
const COLUMN_BYTES = 200;
const STRING_BYTES = 40;

/**
 * Decodes a batch into the arena and fills in what the store and the followers must know of it. Of a batch that is refused
 * nothing stays in the arena. `body` and `readings` are the item's, or of the batch within it.
 */
export function checkBatch(
  item: PendingItem,
  arena: DecodeArena,
  limits: Readonly<BatchLimits>,
  nowUs: number,
  body = item.body,
  readings = item.readings,
): Refusal | undefined {
  arena.mark();
  const before = arena.usedBytes;
  const refusal = decodeAndCheck(item, arena, limits, nowUs, body, readings);
  if (refusal !== undefined) arena.rewind();
  else item.decodedBytes = arena.usedBytes - before + objectBytes(item.batch);
  return refusal;
}

/** What a decoded batch takes beside the arena, roughly: a few bytes on the wire can hold many columns, bitmaps and strings. */
function objectBytes({ groups }: Batch): number {
  let bytes = 0;
  for (const { rows, columns } of groups) {
    bytes += columns.length * COLUMN_BYTES;
    for (let at = 0; at < columns.length; at++) {
      const { presence, strings } = columns[at];
      if (presence !== null) bytes += rows >>> 3;
      bytes += strings.length * STRING_BYTES;
    }
  }
  return bytes;
}

function decodeAndCheck(
  item: PendingItem,
  arena: DecodeArena,
  limits: Readonly<BatchLimits>,
  nowUs: number,
  body: Uint8Array,
  readings: number,
): Refusal | undefined {
  let batch: Batch;
  try {
    batch = decodeBatch(body, arena, limits);
  } catch (error) {
    return refusalOf(error);
  }
  if (batch.readings !== readings) {
    return rejected(RejectionReason.COUNT, `readings: the item says ${readings}, its body has ${batch.readings}`);
  }
  const epoch = item.epochSession;
  const refusal = checkColumns(batch, epoch);
  if (refusal !== undefined) return refusal;
  findEventTimeSpan(batch, 0, span);
  if (batch.segment === 0) {
    item.quality = ClockState.SYNCHRONIZED;
  } else {
    // One offset for the whole batch: it lasts seconds, and what a line drifts in seconds is far below what is promised.
    const clock = epoch.clockAt(batch.segment, span.any ? span.firstUs : 0);
    if (clock === undefined) return registerAgain;
    item.offsetUs = clock.offsetUs;
    item.quality = clock.state;
  }
  item.firstUs = span.any ? span.firstUs + item.offsetUs : nowUs;
  item.lastUs = span.any ? span.lastUs + item.offsetUs : nowUs;
  if (!Number.isSafeInteger(item.firstUs) || !Number.isSafeInteger(item.lastUs)) {
    return rejected(RejectionReason.MALFORMED, 'times: beyond what 2^53 microseconds around 1970 can hold');
  }
  item.decoded = batch;
  return undefined;
}

/** Whether a checked batch has readings from the future: then nobody can vouch for its times, and its quality says so. */
export function flagFuture(item: PendingItem, nowUs: number): boolean {
  if (item.lastUs <= nowUs + FUTURE_TOLERANCE_US) return false;
  item.quality = TimeQuality.FUTURE;
  return true;
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof BatchError)) throw error;
  if (error.code === 'unknown-encoding') return unknownEncoding;
  const reason = error.code === 'limit' ? RejectionReason.TOO_LARGE : RejectionReason.MALFORMED;
  return rejected(reason, `body: ${error.message}`);
}

function checkColumns(batch: Batch, epoch: EpochSession): Refusal | undefined {
  const { types } = epoch;
  for (const { columns } of batch.groups) {
    for (let at = 0; at < columns.length; at++) {
      const column = columns[at];
      const type = types[column.seriesId];
      if (type === column.type) continue;
      if (epoch.series[column.seriesId] === undefined) return registerAgain;
      const detail = `series ${column.seriesId}: the values are ${column.type}, the catalogue says ${type ?? 'an unknown type'}`;
      return rejected(RejectionReason.TYPE, detail);
    }
  }
  return undefined;
}

/**
 * Reads and checks a declaration of loss. It may speak of epochs that no registration names any more: a buffer that was a
 * copy, or damaged, is given up under an epoch of its own, and the next epoch declares what was lost with it.
 */
export function checkDeclaration(item: PendingItem, limits: IngestLimits): Refusal | undefined {
  if (item.readings !== 0) {
    return rejected(RejectionReason.COUNT, `readings: ${item.readings}; a declaration holds none`);
  }
  let entries: LedgerEntry[];
  try {
    entries = LossDeclaration.decode(item.body).entries;
  } catch {
    return rejected(RejectionReason.MALFORMED, 'body: not a LossDeclaration');
  }
  if (entries.length > ENTRIES_MAX) {
    return rejected(RejectionReason.TOO_LARGE, `entries: ${entries.length}; at most ${ENTRIES_MAX} are taken`);
  }
  const epochs = new Set<string>();
  for (const { epoch, first, last, reason } of entries) {
    if (epoch.length !== EPOCH_BYTES) {
      return rejected(RejectionReason.MALFORMED, `epoch: ${epoch.length} bytes; ${EPOCH_BYTES} are needed`);
    }
    if (first < 1 || last < first) {
      return rejected(RejectionReason.MALFORMED, `range: ${first} to ${last}; sequences count up from 1`);
    }
    if (reason === LossReason.UNSPECIFIED || reason === LossReason.EXPIRED) {
      return rejected(RejectionReason.MALFORMED, `reason: ${reason}; not one that a device may give`);
    }
    if (reason < 0 || reason > LossReason.EXPIRED) return unknownEncoding;
    epochs.add(Buffer.from(epoch).toString('latin1'));
  }
  // Each of them is a row of the store for ever.
  if (epochs.size > limits.epochsPerRegisterMax) {
    const detail = `entries: of ${epochs.size} epochs; at most ${limits.epochsPerRegisterMax} are taken`;
    return rejected(RejectionReason.TOO_LARGE, detail);
  }
  item.entries = entries;
  return undefined;
}
