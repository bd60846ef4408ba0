import { Worker } from 'node:worker_threads';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SequenceRange,
  SeriesDeclaration,
} from '@tributary/proto/gen/tributary/v1/series';
import type { LedgerEntry, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { AlertMemory, AlertsStored, IntentOutcome, NewIntent, Salvages, StoredStatus } from './alert-table.js';
import type {
  AppendNotes,
  AppendOutcome,
  BufferCounts,
  BufferIdentity,
  BufferStatus,
  Buffer as EdgeBuffer,
  EncodedBatch,
  Loss,
  RuleNote,
  Undeclared,
} from './buffer.js';
import type { BufferCallName, BufferCalls, BufferReply, BufferRequest, BufferThreadOptions } from './buffer-calls.js';
import { packBatches, unpackItems } from './packed-items.js';
import type { StandbyOptions } from './standby.js';

export interface SqliteBufferOptions {
  /** The database's path; its directory is made if it is not there. */
  path: string;
  /** Bytes that waiting items may take on the disk. */
  quotaBytes: number;
  /** The disk is taken as full when it has less than this left; a sixteenth of it by default, 1 MiB to 64 MiB. */
  freeDiskBytesMin?: number;
  /** What is thinned together in a full buffer, in milliseconds; nothing is thinned by default. */
  thinningWindowMs?: number;
  /** Acknowledged rows are deleted after this long without an append, in milliseconds. */
  idleDeleteMs?: number;
  /** Readings that can be in memory before the first append is on disk: what a crash before it takes; 0 by default. */
  crashBound?: number;
  /** Durability is deferred: a batch is written when it has waited so long for its acknowledgement, in milliseconds. */
  lossWindowMs?: number;
  /** Items wait in memory when the disk has taken none for a while; by default they do not. */
  standby?: StandbyOptions;
  /** The disk has refused to be opened for that long already. */
  standbyAtOnce?: boolean;
}

/** Longer than the gap between two appends in ordinary running, so that the append carries the deletion. */
const IDLE_DELETE_MS = 5_000;

/**
 * A small young generation keeps the thread's memory at 17 MB instead of 26 and costs nothing measurable, since bodies lie
 * outside of the heap. The old generation has room for 100,000 series.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 128 };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: TributaryError): void;
}

/** The durable queue on a device's disk, in a thread of its own. */
export class SqliteBuffer implements EdgeBuffer {
  readonly #worker: Worker;
  /** Answers come in order. */
  readonly #waiting: Waiting[] = [];
  #identity: BufferIdentity | undefined;
  #ended = false;

  /**
   * Opens or creates the buffer. Rejects with a `TributaryError`: `busy` when another agent has it, `unsupported` when a
   * newer version wrote it, `disk-full` or `disk` when the disk refuses.
   */
  static async open(options: SqliteBufferOptions): Promise<SqliteBuffer> {
    const buffer = new SqliteBuffer({ idleDeleteMs: IDLE_DELETE_MS, ...options });
    try {
      await buffer.#answer();
      return buffer;
    } catch (error) {
      await buffer.#worker.terminate();
      throw error;
    }
  }

  private constructor(options: BufferThreadOptions) {
    this.#worker = new Worker(new URL('./buffer-worker.js', import.meta.url), {
      name: 'buffer',
      workerData: options,
      execArgv: [],
      resourceLimits: THREAD_LIMITS,
    });
    this.#worker.on('message', (reply: BufferReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#end(TributaryError.from(error)));
    this.#worker.on('exit', () => this.#end(new TributaryError('internal', 'the buffer is closed')));
  }

  /** As it is now: another after `openEpoch`, and after damage made the buffer begin anew. */
  get identity(): BufferIdentity {
    if (this.#identity === undefined) throw new Error('the buffer was never opened');
    return this.#identity;
  }

  append(batches: readonly EncodedBatch[], notes: AppendNotes = {}): Promise<AppendOutcome> {
    const packed = packBatches(batches);
    return this.#call('append', { packed, notes }, [packed.bodies.buffer]);
  }

  async read(sequence: number, maxBytes: number, maxItems: number): Promise<{ items: Item[]; counts: BufferCounts }> {
    const { packed, counts } = await this.#call('read', { sequence, maxBytes, maxItems });
    return { items: unpackItems(packed), counts };
  }

  acknowledge(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void> {
    return this.#call('acknowledge', { ranges, epoch });
  }

  markInDoubt(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void> {
    return this.#call('markInDoubt', { ranges, epoch });
  }

  stopSending(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void> {
    return this.#call('stopSending', { ranges, epoch });
  }

  quarantine(sequence: number, reason: RejectionReason, detail: string, epoch: Uint8Array): Promise<void> {
    return this.#call('quarantine', { sequence, reason, detail, epoch });
  }

  lose(losses: readonly Loss[]): Promise<void> {
    return this.#call('lose', losses);
  }

  declare(entries: readonly LedgerEntry[]): Promise<void> {
    return this.#call('declare', entries);
  }

  addSeries(series: readonly Omit<SeriesDeclaration, 'id'>[]): Promise<SeriesDeclaration[]> {
    return this.#call('addSeries', series);
  }

  addSegment(segment: Undeclared<SegmentDeclaration>): Promise<SegmentDeclaration> {
    return this.#call('addSegment', segment);
  }

  addAnchor(anchor: Undeclared<ClockAnchor>): Promise<ClockAnchor> {
    return this.#call('addAnchor', anchor);
  }

  openEpoch(): Promise<BufferIdentity> {
    return this.#call('openEpoch', undefined);
  }

  ruleNotes(): Promise<RuleNote[]> {
    return this.#call('ruleNotes', undefined);
  }

  storeAlerts(alerts: readonly Alert[], intents: readonly NewIntent[]): Promise<AlertsStored & Salvages> {
    return this.#call('storeAlerts', { alerts, intents });
  }

  settleIntents(outcomes: readonly IntentOutcome[], statuses: readonly StoredStatus[]): Promise<void> {
    return this.#call('settleIntents', { outcomes, statuses });
  }

  recallAlerts(): Promise<AlertMemory & Salvages> {
    return this.#call('recallAlerts', undefined);
  }

  status(): Promise<BufferStatus> {
    return this.#call('status', undefined);
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    try {
      await this.#call('close', undefined);
    } finally {
      await exited;
    }
  }

  #call<Name extends BufferCallName>(
    call: Name,
    argument: BufferCalls[Name][0],
    transfer: ArrayBuffer[] = [],
  ): Promise<BufferCalls[Name][1]> {
    if (this.#ended) return Promise.reject(new TributaryError('internal', 'the buffer is closed'));
    const request: BufferRequest<Name> = { call, argument };
    this.#worker.postMessage(request, transfer);
    return this.#answer() as Promise<BufferCalls[Name][1]>;
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #settle({ outcome, identity }: BufferReply): void {
    if (identity !== undefined) this.#identity = identity;
    const waiting = this.#waiting.shift();
    if ('value' in outcome) waiting?.resolve(outcome.value);
    else waiting?.reject(new TributaryError(outcome.code, outcome.message));
  }

  #end(error: TributaryError): void {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}
