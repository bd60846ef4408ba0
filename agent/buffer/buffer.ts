import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { ItemKind, LedgerEntry, LossReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { AlertMemory, AlertsStored, IntentOutcome, NewIntent, Salvages, StoredStatus } from './alert-table.js';

/** What has no id yet; or one that it had before the buffer began anew, under which it is declared again. */
export type Undeclared<T extends { id: number }> = Omit<T, 'id'> & { id?: number };

/** An encoded batch on its way into the buffer, or another item. */
export interface EncodedBatch {
  body: Uint8Array;
  readings: number;
  /** A batch where it is absent. */
  kind?: ItemKind;
  /** Has readings of series that are to go last. */
  isProtected?: boolean;
}

/** A moment of a segment's monotonic line. */
export interface LineMoment {
  segment: number;
  us: number;
}

/** Readings that were produced and never became a stored batch. */
export interface Loss {
  readings: number;
  /** `readings` is an upper bound. */
  bound?: boolean;
  reason: LossReason;
}

/** A line of what the device's own rules want to find again after a restart. */
export interface RuleNote {
  name: string;
  /** Undefined to forget it. */
  text: string | undefined;
}

/** What is written along with an append; as before where it is left out. */
export interface AppendNotes {
  /** So many readings may be taken before the next append is on disk, and are what a crash takes with it. */
  crashBound?: number;
  /** How far the newest segment's line has come, kept for the next start. */
  line?: LineMoment;
  /** Notes that are set or forgotten, by name; the others stay. */
  ruleNotes?: readonly RuleNote[];
}

/** What the buffer is when it has been opened, and again after `openEpoch`. */
export interface BufferIdentity {
  epoch: Uint8Array;
  /** The highest sequence assigned; 0 before the first. */
  highestSequence: number;
  readingsProduced: number;
  series: SeriesDeclaration[];
  segments: SegmentDeclaration[];
  anchors: ClockAnchor[];
  /** How far the newest segment's line had come at the last append that told; absent before the first. */
  line?: LineMoment;
  /** Other items may have had these sequences: the epoch is to be left once the collector has settled it. */
  isSuspect: boolean;
  /** Present while the disk takes nothing and items wait in memory: what the disk says. */
  standby?: string;
  /** Number of the newest alert stored. */
  alertCursor: number;
  /**
   * What `open` found, for the log: a file that was closed in order, one that was not, none, or a damaged or foreign one
   * that was moved aside.
   */
  opened: 'clean' | 'unclean' | 'created' | 'recovered';
  /** What was carried over from the file that was moved aside. */
  salvaged?: SalvageCounts;
}

/** What a damaged file had that could be verified. */
export interface SalvageCounts {
  items: number;
  readings: number;
  /** Ledger entries for what is missing. */
  gaps: number;
  /** The whole file was read in the time that a start may take. */
  isComplete: boolean;
}

export interface AppendOutcome {
  /** One per batch, in order. A batch that could not be kept still consumed its sequence and is declared. */
  sequences: number[];
  stored: boolean;
  /** Items that were evicted to make room. */
  evicted: SequenceRange[];
  evictedReadings: number;
}

/** What the buffer counts as it goes along: free to ask for. */
export interface BufferCounts {
  epoch: Uint8Array;
  highestSequence: number;
  oldestSequence: number;
  itemsWaiting: number;
  /** What thinned items keep is not in it: it was produced as part of others, and only their bodies count it. */
  readingsWaiting: number;
  bytesWaiting: number;
  quotaBytes: number;
  readingsProduced: number;
  readingsEvicted: number;
  /** Left out of thinned batches. */
  readingsThinned: number;
  itemsQuarantined: number;
}

export interface BufferStatus extends BufferCounts {
  /** Bytes that the database and its log were told to write since the start. */
  bytesWritten: number;
  /** Bytes of the file system's blocks that this has made the disk write; 0 where that is not counted. */
  blockBytesWritten: number;
}

/**
 * The agent's durable queue. Everything is asynchronous: the file is touched by one thread, where fsync stalls nobody.
 * A rejected promise means that the buffer could not be written at all; it has then already been closed and reopened.
 */
export interface Buffer {
  readonly identity: BufferIdentity;
  /**
   * Assigns sequences and commits, all in one transaction; on disk when it resolves. Room is made first, and what is
   * evicted is declared by an item in the same transaction. With deferred durability it resolves earlier, see
   * docs/BUFFER.md.
   */
  append(batches: readonly EncodedBatch[], notes?: AppendNotes): Promise<AppendOutcome>;
  /**
   * Waiting items from a sequence on, at least one if there is any, and not more than `maxBytes` of bodies otherwise, with
   * the counts of the same moment. They are taken to be sent from here on: until `stopSending` they count as in doubt.
   */
  read(fromSequence: number, maxBytes: number, maxItems: number): Promise<{ items: Item[]; counts: BufferCounts }>;
  /**
   * The collector has these durably. They may be deleted with the next append, or after a short while at the latest.
   * Nothing happens if the buffer has another epoch by now, as it has after damage.
   */
  acknowledge(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void>;
  /** Sent and not answered yet: never thinned, evicted last. Replaces the earlier set. `epoch` as in `acknowledge`. */
  markInDoubt(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void>;
  /**
   * The connection is over, and nothing that was read is held any more; of what was sent, these have no answer. What is in
   * doubt outlives a restart. `epoch` as in `acknowledge`.
   */
  stopSending(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void>;
  /** Moves an item aside and appends its declaration; the queue goes on. `epoch` as in `acknowledge`. */
  quarantine(sequence: number, reason: RejectionReason, detail: string, epoch: Uint8Array): Promise<void>;
  /** Readings that are lost before they were stored: each consumes a sequence, counts as produced and is declared. */
  lose(losses: readonly Loss[]): Promise<void>;
  /** Appends a declaration item. */
  declare(entries: readonly LedgerEntry[]): Promise<void>;
  addSeries(series: readonly Omit<SeriesDeclaration, 'id'>[]): Promise<SeriesDeclaration[]>;
  addSegment(segment: Undeclared<SegmentDeclaration>): Promise<SegmentDeclaration>;
  /** Appends what became known of a segment's offset. */
  addAnchor(anchor: Undeclared<ClockAnchor>): Promise<ClockAnchor>;
  /**
   * The collector knows this epoch from another copy: a new one is opened, waiting batches move there under new
   * sequences (their bytes unchanged), with the catalogue and segments.
   */
  openEpoch(): Promise<BufferIdentity>;
  /** Every note of the device's own rules that is as it was written. */
  ruleNotes(): Promise<RuleNote[]>;
  /**
   * Stores alerts, moves the cursor and writes down what is to be done about them, in one transaction. An alert that was stored
   * before, by incident and state, is left as it is, and nothing is to be done about it. (Late ones are told apart from those
   * that are not.)
   */
  storeAlerts(alerts: readonly Alert[], intents: readonly NewIntent[]): Promise<AlertsStored & Salvages>;
  /** Writes down what became of intents, and the statuses that they have set, in one transaction. Twice does no harm. */
  settleIntents(outcomes: readonly IntentOutcome[], statuses: readonly StoredStatus[]): Promise<void>;
  /**
   * What an earlier start of the agent has left to be done, and the statuses. Intents that were kept are answered as such, and
   * are open from then on: to be called once in a start.
   */
  recallAlerts(): Promise<AlertMemory & Salvages>;
  status(): Promise<BufferStatus>;
  close(): Promise<void>;
}

/** Why a batch was lost on the device, as counters and the ledger name it. */
export type BufferLossReason = LossReason.EVICTED | LossReason.CORRUPT | LossReason.REJECTED;
