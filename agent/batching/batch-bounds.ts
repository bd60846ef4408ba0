import { DEFAULT_BATCH_LIMITS } from '@tributary/proto/batch/batch-limits';

/** When an open batch closes, and how much may wait. */
export interface BatchBounds {
  /**
   * Readings of a batch. The cost of everything after the encoder is per batch (a row in SQLite, an item, a verdict), about
   * 110 microseconds at the collector, so a thousand readings bring it to a tenth of a microsecond each; larger ones gain
   * little more and put more at stake in one checksum.
   */
  readings: number;
  /**
   * Estimated bytes before encoding: 8 for a number, 8 for an instant, 1 for a boolean, the text of a state at its first
   * use. 16 KiB are a thousand rows of one number each, so that numbers close by count and only text closes by bytes.
   */
  bytes: number;
  /** Microseconds since the first reading: what a power cut takes along, and what an alert waits for at the most. */
  ageUs: number;
  /**
   * Readings that wait in memory, open and closed together, before new ones are dropped: at 16 bytes each, 1.6 MB, or
   * 100 s of a stalled disk at a thousand readings a second.
   */
  pendingReadings: number;
}

export const DEFAULT_BATCH_BOUNDS: Readonly<BatchBounds> = {
  readings: 1000,
  bytes: 16 * 1024,
  ageUs: 1_000_000,
  pendingReadings: 100_000,
};

/**
 * The largest a batch may be configured. The row that closes it comes on top: at most 4,096 columns or 64 KiB of strings,
 * which keeps it below what the format's decoder takes (1 MiB, 65,536 rows).
 */
export const BATCH_READINGS_MAX = 50_000;
export const BATCH_BYTES_MAX = 512 * 1024;

/** Strings of a batch, in bytes: the format's bound. A batch closes before a row that would cross it. */
export const BATCH_STRING_BYTES_MAX = DEFAULT_BATCH_LIMITS.maxStringBytes;
/** Entries of all dictionaries of a batch: the format's bound, as above. */
export const BATCH_STRINGS_MAX = DEFAULT_BATCH_LIMITS.maxStrings;
