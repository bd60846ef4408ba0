import type { SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';

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
  itemsQuarantined: number;
  alertCursor: number;
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
    itemsQuarantined: 0,
    alertCursor: 0,
  };
}

/** An item without its body. */
export interface ItemHeader {
  sequence: number;
  kind: number;
  readings: number;
  readingsBefore: number;
  bodyBytes: number;
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
  put(item: Item): void;
  deleteRange(first: number, last: number): void;
  /** Headers of first to last, both included, in order. */
  headers(first: number, last: number, limit: number): ItemHeader[];
  /** How many items there are, and the sum of their readings. */
  totals(): { items: number; readings: number };
  /** The last header before a sequence. */
  headerBefore(sequence: number): ItemHeader | undefined;
  /** Items from a sequence on, in order; it stops after the one with which the bodies reach `maxBytes`. */
  items(from: number, limit: number, maxBytes: number): Item[];
  /** Keeps an item for a person to look at, and the newest so many of them. */
  putQuarantined(item: Item, note: QuarantineNote, keepItems: number): void;
  series(): SeriesDeclaration[];
  putSeries(series: SeriesDeclaration): void;
  segments(): SegmentDeclaration[];
  putSegment(segment: SegmentDeclaration): void;
  hasAlert(incidentId: Uint8Array, state: number): boolean;
  /** Remembers a transition, and the newest so many of them. */
  putAlert(incidentId: Uint8Array, state: number, number: number, keepAlerts: number): void;
  deleteAlertsAfter(number: number): void;
}
