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
import type { Logger } from 'pino';
import type {
  AlertMemory,
  AlertsStored,
  IntentOutcome,
  NewIntent,
  Salvages,
  StoredStatus,
} from '../buffer/alert-table.js';
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
} from '../buffer/buffer.js';
import { type DiskPatience, isPassing, whenTheDiskTakes } from './disk-patience.js';

/** Of a buffer that is not open yet. */
const NOBODY: BufferIdentity = {
  epoch: new Uint8Array(16),
  highestSequence: 0,
  readingsProduced: 0,
  series: [],
  segments: [],
  anchors: [],
  isSuspect: false,
  alertCursor: 0,
  opened: 'clean',
};

const NOTHING: BufferStatus = {
  epoch: NOBODY.epoch,
  highestSequence: 0,
  oldestSequence: 0,
  itemsWaiting: 0,
  readingsWaiting: 0,
  bytesWaiting: 0,
  quotaBytes: 0,
  readingsProduced: 0,
  readingsEvicted: 0,
  readingsThinned: 0,
  itemsQuarantined: 0,
  bytesWritten: 0,
  blockBytesWritten: 0,
};

/**
 * A buffer on a disk that may not let itself be opened yet: until it does, every call rejects with what the disk says, and
 * opening is tried again and again. The agent samples meanwhile.
 */
export class EventualBuffer implements EdgeBuffer {
  #buffer: EdgeBuffer | undefined;
  /** What the disk said last. */
  #refusal: TributaryError | undefined;
  /** As it was when the buffer could last be asked. */
  #status = NOTHING;
  #opened: Promise<BufferIdentity> | undefined;
  readonly #closing = new AbortController();
  readonly #log: Logger;
  /** What the disk said when items began to wait in memory; undefined while they do not. */
  #standby: string | undefined;

  /**
   * Resolves once the buffer is open, or the disk has refused it for the first time. Rejects with a `TributaryError` where
   * no waiting helps: `busy`, `unsupported`. `first` is an opening that is under way.
   */
  static async open(
    first: Promise<EdgeBuffer>,
    again: () => Promise<EdgeBuffer>,
    patience: DiskPatience,
  ): Promise<EventualBuffer> {
    const buffer = new EventualBuffer(patience.log);
    let opening: Promise<EdgeBuffer> | undefined = first;
    await new Promise<void>((resolve, reject) => {
      const attempt = () => {
        const current = opening ?? again();
        opening = undefined;
        return current;
      };
      const refused = (error: TributaryError) => {
        buffer.#refusal = error;
        resolve();
      };
      buffer.#opened = whenTheDiskTakes(attempt, patience, buffer.#closing.signal, refused).then((opened) =>
        buffer.#take(opened),
      );
      buffer.#opened.then(
        () => resolve(),
        (thrown: unknown) => {
          const error = TributaryError.from(thrown);
          buffer.#refusal = error;
          // Later than the start there is nobody to tell but the log and the status.
          if (!buffer.#closing.signal.aborted) {
            patience.log.error(
              { details: error.message },
              'the buffer cannot be opened before the agent is started anew',
            );
          }
          reject(error);
        },
      );
    });
    return buffer;
  }

  private constructor(log: Logger) {
    this.#log = log;
  }

  /** Resolves when it is open; rejects where it never will be. */
  get opened(): Promise<BufferIdentity> {
    return this.#opened!;
  }

  get isOpen(): boolean {
    return this.#buffer !== undefined;
  }

  /** Why the buffer cannot be used, if the disk has refused it at the last asking. */
  get trouble(): string | undefined {
    return this.#refusal?.message ?? this.#standby;
  }

  /** Items wait in memory, since the disk takes none. */
  get isOnStandby(): boolean {
    return this.#standby !== undefined;
  }

  /** Empty until it is open. */
  get identity(): BufferIdentity {
    return this.#buffer?.identity ?? NOBODY;
  }

  append(batches: readonly EncodedBatch[], notes?: AppendNotes): Promise<AppendOutcome> {
    return this.#run((buffer) => buffer.append(batches, notes));
  }

  read(fromSequence: number, maxBytes: number, maxItems: number): Promise<{ items: Item[]; counts: BufferCounts }> {
    return this.#run((buffer) => buffer.read(fromSequence, maxBytes, maxItems));
  }

  acknowledge(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void> {
    return this.#run((buffer) => buffer.acknowledge(ranges, epoch));
  }

  markInDoubt(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void> {
    return this.#run((buffer) => buffer.markInDoubt(ranges, epoch));
  }

  stopSending(ranges: readonly SequenceRange[], epoch: Uint8Array): Promise<void> {
    return this.#run((buffer) => buffer.stopSending(ranges, epoch));
  }

  quarantine(sequence: number, reason: RejectionReason, detail: string, epoch: Uint8Array): Promise<void> {
    return this.#run((buffer) => buffer.quarantine(sequence, reason, detail, epoch));
  }

  lose(losses: readonly Loss[]): Promise<void> {
    return this.#run((buffer) => buffer.lose(losses));
  }

  declare(entries: readonly LedgerEntry[]): Promise<void> {
    return this.#run((buffer) => buffer.declare(entries));
  }

  addSeries(series: readonly Omit<SeriesDeclaration, 'id'>[]): Promise<SeriesDeclaration[]> {
    return this.#run((buffer) => buffer.addSeries(series));
  }

  addSegment(segment: Undeclared<SegmentDeclaration>): Promise<SegmentDeclaration> {
    return this.#run((buffer) => buffer.addSegment(segment));
  }

  addAnchor(anchor: Undeclared<ClockAnchor>): Promise<ClockAnchor> {
    return this.#run((buffer) => buffer.addAnchor(anchor));
  }

  openEpoch(): Promise<BufferIdentity> {
    return this.#run((buffer) => buffer.openEpoch());
  }

  ruleNotes(): Promise<RuleNote[]> {
    return this.#run((buffer) => buffer.ruleNotes());
  }

  storeAlerts(alerts: readonly Alert[], intents: readonly NewIntent[]): Promise<AlertsStored & Salvages> {
    return this.#run((buffer) => buffer.storeAlerts(alerts, intents));
  }

  settleIntents(outcomes: readonly IntentOutcome[], statuses: readonly StoredStatus[]): Promise<void> {
    return this.#run((buffer) => buffer.settleIntents(outcomes, statuses));
  }

  recallAlerts(): Promise<AlertMemory & Salvages> {
    return this.#run((buffer) => buffer.recallAlerts());
  }

  /** Also while the disk refuses, and after the end: as it was before, zeros at first. A person looks at it then above all. */
  async status(): Promise<BufferStatus> {
    if (this.#closing.signal.aborted) return this.#status;
    try {
      this.#status = await this.#run((buffer) => buffer.status());
    } catch (thrown) {
      if (!isPassing(TributaryError.from(thrown))) throw thrown;
    }
    return this.#status;
  }

  /** Ends the attempts, or closes the buffer. */
  async close(): Promise<void> {
    this.#closing.abort(new TributaryError('cancelled', 'the buffer is closed'));
    await this.#opened?.catch(() => {});
    await this.#buffer?.close();
  }

  #take(buffer: EdgeBuffer): BufferIdentity {
    this.#buffer = buffer;
    this.#refusal = undefined;
    this.#noteStandby(buffer);
    return buffer.identity;
  }

  async #run<T>(call: (buffer: EdgeBuffer) => Promise<T>): Promise<T> {
    const buffer = this.#buffer;
    if (buffer === undefined) throw this.#refusal ?? new TributaryError('disk', 'the buffer is being opened');
    try {
      const answer = await call(buffer);
      this.#refusal = undefined;
      return answer;
    } catch (thrown) {
      const error = TributaryError.from(thrown);
      if (isPassing(error)) this.#refusal = error;
      throw error;
    } finally {
      this.#noteStandby(buffer);
    }
  }

  #noteStandby({ identity }: EdgeBuffer): void {
    const { standby } = identity;
    if (standby === this.#standby) return;
    this.#standby = standby;
    if (standby === undefined) this.#log.warn('the disk takes writes again; readings wait on it from now on');
    else {
      this.#log.error(
        { details: standby },
        'the disk takes nothing: readings wait in memory, and a power cut takes them along',
      );
    }
  }
}
