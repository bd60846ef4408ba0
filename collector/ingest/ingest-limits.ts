import { DEFAULT_BATCH_LIMITS } from '@tributary/proto/batch/batch-limits';
import { ITEM_OVERHEAD_BYTES_MAX } from '@tributary/proto/items/upload-wire';

/** What ingest takes, whatever a peer sends. Each value has its reason beside the default. */
export interface IngestLimits {
  /** Of one item's body. */
  itemBytesMax: number;
  /** Of one gRPC message. */
  messageBytesMax: number;
  /** Of one upload stream; what comes beyond is answered with later. */
  streamBytesMax: number;
  streamItemsMax: number;
  /** Of one stream; each stands in the answer with its detail. */
  streamRejectionsMax: number;
  /** How long one upload stream may take to send, in milliseconds. */
  streamDurationMsMax: number;
  batchReadingsMax: number;
  /** How far a sequence may be ahead of the highest one that is known of its epoch. */
  sequencesAheadMax: number;
  /** Bytes that were taken and are not committed, decoded columns included: of everybody, and of one device. */
  inFlightBytesMax: number;
  deviceInFlightBytesMax: number;
  /**
   * Of the devices that have something in flight together, while more than one device sends: each has an equal share of
   * it, and at least `deviceShareBytesMin`. A device that sends more waits for its turn, so a commit never is mostly one
   * device's while others wait for it.
   */
  sharedInFlightBytes: number;
  deviceShareBytesMin: number;
  /** Of one group commit. */
  commitBytesMax: number;
  commitItemsMax: number;
  commitDecodedBytesMax: number;
  /** Devices whose registration is kept in memory. */
  devicesMax: number;
  epochsPerRegisterMax: number;
  seriesPerDeviceMax: number;
  /** Bytes a second that a device's backfill may take; 0 is no limit. */
  backfillBytesPerSecond: number;
  /** What a deferred device waits under pressure; it is drawn between half and one and a half times this. */
  pressureDelayMs: number;
  /** What a device waits when the store is slow or away. */
  storeDelayMs: number;
}

export const defaultIngestLimits: Readonly<IngestLimits> = {
  // Half a message, so that an item that is too large by a little still arrives and is answered with a verdict.
  itemBytesMax: 512 * 1024,
  // A message is held in one piece in memory; grpc-js refuses a larger one before it is read.
  messageBytesMax: 1024 * 1024,
  // What a broken stream costs a device to send again.
  streamBytesMax: 1024 * 1024,
  // A stream full of the smallest useful items (64 B); each costs about 300 B of objects in memory.
  streamItemsMax: 16_384,
  // Some 150 B each in the answer, which devices take up to 1 MiB long.
  streamRejectionsMax: 4096,
  // Well inside the device's 30 s watchdog and the collector's own drain time.
  streamDurationMsMax: 5000,
  // Two typed arrays of this length are 1 MiB: what one item may take in memory, however small it is on the wire.
  batchReadingsMax: 65_536,
  // A thousand items a second for almost three hours, all lost at once: no device gets further ahead of its collector
  // without declaring what is between.
  sequencesAheadMax: 10_000_000,
  // Some 25 full streams with their decoded columns; with the runtime it fits a container of 512 MiB.
  inFlightBytesMax: 192 * 1024 * 1024,
  // Two full streams (live and backfill) with their decoded columns.
  deviceInFlightBytesMax: 16 * 1024 * 1024,
  // Some 100,000 readings with their decoded columns: half of them with the store and half being gathered take a small
  // machine about 20 ms, which is what a neighbour waits.
  sharedInFlightBytes: 2 * 1024 * 1024,
  // The batches of a few minutes: what every device sends that is not behind, and never waits with.
  deviceShareBytesMin: 512 * 1024,
  // Larger commits save nothing more (the cost of a sync is spread thin already) and delay everybody's answer.
  commitBytesMax: 4 * 1024 * 1024,
  commitItemsMax: 4096,
  // The columns of one arena; three arenas take turns. Half a million readings, most of them dense.
  commitDecodedBytesMax: 8 * 1024 * 1024,
  // About 5 kB each with a catalogue of ten series: 100 MiB.
  devicesMax: 20_000,
  // A device holds items of one epoch, and of a few more after mishaps.
  epochsPerRegisterMax: 64,
  // More series than any small device has; each is a row and about 500 B of memory.
  seriesPerDeviceMax: 4096,
  backfillBytesPerSecond: 0,
  // A group commit under load takes a fraction of this.
  pressureDelayMs: 1000,
  // A full or restarting store does not mend in a second.
  storeDelayMs: 5000,
};

/** Throws a RangeError when limits contradict each other; found at start, not under load. */
export function assertIngestLimits(limits: IngestLimits): void {
  const needs = (holds: boolean, what: string) => {
    if (!holds) throw new RangeError(`limits: ${what}`);
  };
  needs(limits.itemBytesMax + ITEM_OVERHEAD_BYTES_MAX < limits.messageBytesMax, 'an item must fit into a message');
  needs(limits.itemBytesMax <= DEFAULT_BATCH_LIMITS.maxBytes, 'an item must not exceed what the batch format takes');
  needs(limits.batchReadingsMax <= DEFAULT_BATCH_LIMITS.maxReadings, 'a batch must not exceed what the format takes');
  needs(limits.messageBytesMax <= limits.streamBytesMax, 'a message must fit into a stream');
  needs(
    limits.streamBytesMax <= limits.deviceInFlightBytesMax,
    'a stream must fit into what a device may have in flight',
  );
  needs(limits.deviceShareBytesMin > 0, 'a device must have a share of what is in flight');
  needs(
    limits.deviceInFlightBytesMax <= limits.inFlightBytesMax,
    'one device must fit into what all may have in flight',
  );
}
