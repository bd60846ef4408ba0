import type { ErrorCode } from '@tributary/core/errors/error-code';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { LedgerEntry, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { AlertMemory, AlertsStored, IntentOutcome, NewIntent, Salvages, StoredStatus } from './alert-table.js';
import type {
  AppendNotes,
  AppendOutcome,
  BufferCounts,
  BufferIdentity,
  BufferStatus,
  Loss,
  RuleNote,
  Undeclared,
} from './buffer.js';
import type { Packed } from './packed-items.js';
import type { StandbyOptions } from './standby.js';

/** What the thread that has the file is started with. */
export interface BufferThreadOptions {
  path: string;
  quotaBytes: number;
  idleDeleteMs: number;
  /** As in `BufferEngineOptions`. */
  freeDiskBytesMin?: number;
  thinningWindowMs?: number;
  crashBound?: number;
  lossWindowMs?: number;
  standby?: StandbyOptions;
  standbyAtOnce?: boolean;
}

/** The calls from the handle to its thread: arguments, and what is answered. */
export interface BufferCalls {
  append: [batches: { packed: Packed; notes: AppendNotes }, answer: AppendOutcome];
  read: [
    from: { sequence: number; maxBytes: number; maxItems: number },
    answer: { packed: Packed; counts: BufferCounts },
  ];
  acknowledge: [of: RangesOf, answer: undefined];
  markInDoubt: [of: RangesOf, answer: undefined];
  stopSending: [of: RangesOf, answer: undefined];
  quarantine: [
    item: { sequence: number; reason: RejectionReason; detail: string; epoch: Uint8Array },
    answer: undefined,
  ];
  lose: [losses: readonly Loss[], answer: undefined];
  declare: [entries: readonly LedgerEntry[], answer: undefined];
  addSeries: [series: readonly Omit<SeriesDeclaration, 'id'>[], answer: SeriesDeclaration[]];
  addSegment: [segment: Undeclared<SegmentDeclaration>, answer: SegmentDeclaration];
  addAnchor: [anchor: Undeclared<ClockAnchor>, answer: ClockAnchor];
  openEpoch: [nothing: undefined, answer: BufferIdentity];
  ruleNotes: [nothing: undefined, answer: RuleNote[]];
  storeAlerts: [of: { alerts: readonly Alert[]; intents: readonly NewIntent[] }, answer: AlertsStored & Salvages];
  settleIntents: [of: { outcomes: readonly IntentOutcome[]; statuses: readonly StoredStatus[] }, answer: undefined];
  recallAlerts: [nothing: undefined, answer: AlertMemory & Salvages];
  status: [nothing: undefined, answer: BufferStatus];
  close: [nothing: undefined, answer: undefined];
}

export interface RangesOf {
  ranges: readonly SequenceRange[];
  epoch: Uint8Array;
}

export type BufferCallName = keyof BufferCalls;

/** Answers come in the order of the requests, so neither carries a number. */
export interface BufferRequest<Name extends BufferCallName = BufferCallName> {
  call: Name;
  argument: BufferCalls[Name][0];
}

export interface BufferReply {
  outcome: { value: unknown } | { code: ErrorCode; message: string };
  /** When it is another than before: at the start, after `openEpoch`, and after damage. */
  identity?: BufferIdentity;
}
