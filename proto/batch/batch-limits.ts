/** What a decoder accepts and an encoder may produce. Both sides check; a collector announces its own. */
export interface BatchLimits {
  /** Bytes of the encoded batch. */
  maxBytes: number;
  /** Rows of one group. */
  maxRows: number;
  /** Values of all columns, and instants of all groups, each. */
  maxReadings: number;
  /** Columns of all groups. */
  maxColumns: number;
  maxGroups: number;
  /** Rows of all columns with a presence bitmap, repeated ones too. */
  maxBitmapRows: number;
  /** UTF-8 bytes of all strings. */
  maxStringBytes: number;
  /** Entries of all string dictionaries. */
  maxStrings: number;
}

/** The limits that a release promises to take; a collector may be configured lower, never higher. */
export const DEFAULT_BATCH_LIMITS: Readonly<BatchLimits> = {
  // A gRPC message is limited to 1 MiB; the item around a batch needs less than 1 KiB of it.
  maxBytes: 1024 * 1024 - 1024,
  // A column of constants costs no bits a row, so the rows bound what a few bytes can blow up to: 512 KiB a column.
  maxRows: 65_536,
  // 2 MiB of doubles, 2 MiB of instants: what one batch may take in memory, however small it is on the wire.
  maxReadings: 262_144,
  // More series than any one device declares; a column costs about 200 bytes of objects in memory.
  maxColumns: 4096,
  // A group is a set of series that are sampled together: a source, seldom more than a dozen on a device.
  maxGroups: 256,
  // A bitmap without a set bit costs nothing of maxReadings: this bounds what such columns take, to 128 KiB and 5 ms.
  maxBitmapRows: 1024 * 1024,
  // State strings are short and repeat; a dictionary of this size is already text, which is not what a batch is for.
  maxStringBytes: 65_536,
  // A string object costs about 40 bytes in memory and an empty one 6 bits on the wire.
  maxStrings: 16_384,
};
