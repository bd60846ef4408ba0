import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';
import type { AlertTable } from './alert-table.js';

/** An item in the buffer. */
export interface BufferedItem extends Item {
  /** Has readings of series that are to go last. */
  isProtected: boolean;
}

/** The counters that change together with the items: one row, written in every transaction. */
export interface BufferState {
  epoch: Uint8Array;
  /** The highest sequence assigned; 0 before the first. */
  highestSequence: number;
  readingsProduced: number;
  /** In the table, acknowledged or not. `bytesStored` is by `rowBytes`. */
  itemsStored: number;
  readingsStored: number;
  bytesStored: number;
  /** Over the life of the file. */
  readingsEvicted: number;
  readingsThinned: number;
  itemsQuarantined: number;
  alertCursor: number;
  /** With deferred durability: sequences up to this one and so many readings may have been used, and lost by a crash. */
  reservedSequence: number;
  reservedReadings: number;
  /** At the most so many readings are taken by the batcher before the next commit: what a crash can take along. */
  crashBound: number;
  /** Items may be on their way at any time: after a crash everything that waits is in doubt. */
  isSending: boolean;
  /** The buffer was closed in order; nothing but the next opening follows. */
  isClosed: boolean;
  /** Other items may have had these sequences: the epoch is to be left once the collector has settled it. */
  isSuspect: boolean;
  /** The newest segment, and how far its monotonic line had come at the last commit. */
  segment: number;
  lineUs: number;
  /** Sent and not answered, at the last commit. */
  inDoubt: readonly SequenceRange[];
}

export function freshState(epoch: Uint8Array): BufferState {
  return {
    epoch,
    highestSequence: 0,
    readingsProduced: 0,
    itemsStored: 0,
    readingsStored: 0,
    bytesStored: 0,
    readingsEvicted: 0,
    readingsThinned: 0,
    itemsQuarantined: 0,
    alertCursor: 0,
    reservedSequence: 0,
    reservedReadings: 0,
    crashBound: 0,
    isSending: false,
    isClosed: false,
    isSuspect: false,
    segment: 0,
    lineUs: 0,
    inDoubt: [],
  };
}

/** An item without its body. */
export interface ItemHeader {
  sequence: number;
  kind: number;
  readings: number;
  readingsBefore: number;
  bodyBytes: number;
  isProtected: boolean;
}

export function headerOf(item: BufferedItem): ItemHeader {
  const { sequence, kind, readings, readingsBefore, body, isProtected } = item;
  return { sequence, kind, readings, readingsBefore, bodyBytes: body.length, isProtected };
}

/** Ids of both parts of the clocks' catalogue. */
export interface ClockIds {
  segment: number;
  anchor: number;
}

/** Why an item was set aside. */
export interface QuarantineNote {
  epoch: Uint8Array;
  reason: string;
  detail: string;
}

/**
 * Where the buffer's policy keeps its rows: SQLite on a device, an array in the simulation. It decides nothing. What is
 * written between `begin` and `commit` is there as a whole after a crash, or not at all. Every call may throw.
 */
export interface ItemTable {
  begin(): void;
  commit(): void;
  rollback(): void;
  /** Undefined in a new table. */
  state(): BufferState | undefined;
  putState(state: BufferState): void;
  put(item: BufferedItem): void;
  deleteRange(first: number, last: number): void;
  /** Headers of first to last, both included, in order. */
  headers(first: number, last: number, limit: number): ItemHeader[];
  /** How many items there are, and the sum of their readings. */
  totals(): { items: number; readings: number };
  /** The last header before a sequence. */
  headerBefore(sequence: number): ItemHeader | undefined;
  /** Items from a sequence on, in order; it stops after the one with which the bodies reach `maxBytes`. */
  items(from: number, limit: number, maxBytes: number): BufferedItem[];
  /** Keeps an item for a person to look at, and the newest so many of them. */
  putQuarantined(item: Item, note: QuarantineNote, keepItems: number): void;
  series(): SeriesDeclaration[];
  putSeries(series: SeriesDeclaration): void;
  segments(): SegmentDeclaration[];
  putSegment(segment: SegmentDeclaration): void;
  anchors(): ClockAnchor[];
  putAnchor(anchor: ClockAnchor): void;
  /** Removes the segments and the anchors below an id. */
  dropClocks(below: ClockIds): void;
  /** Deletes all series, segments and anchors. */
  clearCatalogue(): void;
  readonly alerts: AlertTable;
}
