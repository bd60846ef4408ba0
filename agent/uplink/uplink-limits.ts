import type { BackoffPolicy } from '@tributary/core/retry/backoff';
import { ITEM_OVERHEAD_BYTES_MAX } from '@tributary/proto/items/upload-wire';

/** What the uplink keeps within on its own; the collector's `Limits` can only lower the first five. */
export interface UplinkLimits {
  itemBytesMax: number;
  messageBytesMax: number;
  streamBytesMax: number;
  streamDurationMs: number;
  /** How long a live stream stays open for what comes next; at 0 it ends as soon as nothing waits. */
  lingerMs: number;
  /** Items asked of the buffer at once. */
  readItemsMax: number;
  connectMs: number;
  registerMs: number;
  registerAgainMs: number;
  answerMs: number;
  heartbeatMs: number;
  liveBacklogMs: number;
  liveBacklogBytes: number;
  /** What a live stream carries before the link was measured. */
  liveStreamBytesFirst: number;
  /** Backfill streams without an answer at a time. */
  backfillStreamsMax: number;
  /** What backfill may have sent without an answer: bounds of what is measured. */
  backfillBytesUnderWayMin: number;
  backfillBytesUnderWayMax: number;
  /** The queue in front of a slow link that backfill may make. */
  backfillQueueMs: number;
  /** What a stream carries in one round trip, and from which round trip on streams are cut to that. */
  windowBytes: number;
  windowRoundTripMs: number;
  cataloguePageBytes: number;
  heldRangesMax: number;
  itemAloneFailuresMax: number;
  aloneHoldMs: number;
  retry: BackoffPolicy;
  refused: BackoffPolicy;
  refusedFloorMs: number;
  droppedJitterMs: number;
}

export const uplinkLimits: UplinkLimits = {
  // The collector's receive limit is 1 MiB a message; the header and an item's own fields must fit in as well.
  itemBytesMax: 1_048_576 - 4096,
  // One receive window of the server (64 KiB): a larger message would only wait in two places instead of one.
  messageBytesMax: 65_536,
  // A broken stream costs at most this much to send again.
  streamBytesMax: 1_048_576,
  // Well inside every collector's drain time and any proxy's idle limit.
  streamDurationMs: 5000,
  // The configuration says; a tool that sends once wants its answer at once.
  lingerMs: 0,
  // 64 KiB of the smallest useful items (about 128 B).
  readItemsMax: 512,
  // TCP and TLS take three round trips; the slowest usable radio link needs about 3 s for each.
  connectMs: 20_000,
  registerMs: 30_000,
  // A collector that asks without end gets a registration every five seconds, not a storm.
  registerAgainMs: 5000,
  // Longer than any group commit on a sick disk, short enough that a frozen collector does not stop a device.
  answerMs: 30_000,
  // Absence rules close on the watermark; half a minute is what they may lag.
  heartbeatMs: 30_000,
  // What is younger than half a minute or smaller than one more batch of streams is still "now" for rules.
  liveBacklogMs: 30_000,
  liveBacklogBytes: 262_144,
  // A collector takes nothing more of a stream after ten seconds: this is eight of 64 kbit/s.
  liveStreamBytesFirst: 65_536,
  // 512 KiB in a round trip: 14 Mbit/s over 300 ms. A collector allows 64 calls on a connection.
  backfillStreamsMax: 8,
  // Two seconds of 64 kbit/s.
  backfillBytesUnderWayMin: 16_384,
  // Two full streams, so that one is on its way while the other is answered.
  backfillBytesUnderWayMax: 2_097_152,
  // With the round trip well below the five seconds that a live reading may take.
  backfillQueueMs: 1500,
  // A server's receive window is 65,535 bytes; the header and the prefixes of the messages must fit in as well.
  windowBytes: 64_000,
  // Below it one stream moves more than 25 Mbit/s, and a call for each 64 KiB would cost more than it brings.
  windowRoundTripMs: 20,
  // About 500 series; at 64 kbit/s a page takes 8 s of what Register may take.
  cataloguePageBytes: 65_536,
  // Each is 24 bytes; beyond that neighbours are merged.
  heldRangesMax: 64,
  // Twice is chance, three times is the item.
  itemAloneFailuresMax: 3,
  // An item that alone breaks streams steps aside so long.
  aloneHoldMs: 300_000,
  // A minute is how late a device may be after an outage without anybody noticing; full jitter makes it half that.
  retry: { baseMs: 500, capMs: 60_000 },
  // A refused identity does not mend by itself: ten devices that ask every minute are noise, ten thousand an attack.
  refused: { baseMs: 30_000, capMs: 300_000 },
  refusedFloorMs: 30_000,
  // A collector that restarts drops everybody in the same millisecond: they come back over two seconds.
  droppedJitterMs: 2000,
};

/** A peer that says nothing is noticed within this, whatever the uplink waits for. */
const silentPeerMsMax = 45_000;

/** Throws when limits contradict each other: a mistake of whoever set them, found at start. */
export function assertUplinkLimits(limits: UplinkLimits): void {
  const wrong = (what: string): never => {
    throw new Error(`uplink limits: ${what}`);
  };
  if (limits.itemBytesMax <= ITEM_OVERHEAD_BYTES_MAX) wrong('an item has no room for a body');
  if (limits.messageBytesMax > limits.streamBytesMax) wrong('a message is larger than its stream');
  if (limits.streamDurationMs >= limits.answerMs) wrong('the answer would be late before the stream has ended');
  if (limits.lingerMs > limits.streamDurationMs) wrong('a stream lingers longer than it may last');
  const { backfillBytesUnderWayMin, backfillBytesUnderWayMax, backfillStreamsMax } = limits;
  if (backfillBytesUnderWayMin < 2 || backfillBytesUnderWayMin > backfillBytesUnderWayMax)
    wrong('backfill has no room');
  if (backfillStreamsMax < 2) wrong('backfill would wait for each answer');
  // A dead peer is found by these alone: keepalive sees neither an endless handshake nor an answer that never comes.
  const silentMs = Math.max(limits.connectMs, limits.registerMs, limits.streamDurationMs + limits.answerMs);
  if (silentMs > silentPeerMsMax) wrong(`a silent peer would be noticed after ${silentMs} ms only`);
  if (limits.readItemsMax < 1 || limits.heldRangesMax < 1) wrong('a count is below 1');
  if (limits.retry.baseMs <= 0 || limits.refused.baseMs <= 0) wrong('a back-off without a wait');
}
