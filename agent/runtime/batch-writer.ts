import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff } from '@tributary/core/retry/backoff';
import type { Batch } from '@tributary/proto/batch/batch';
import { encodeBatch } from '@tributary/proto/batch/encode';
import type { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Logger } from 'pino';
import type { Batcher } from '../batching/batcher.js';
import type { Buffer as EdgeBuffer, EncodedBatch, RuleNote } from '../buffer/buffer.js';
import type { LineTime } from '../uplink/uplink.js';
import type { CrashWindow } from './crash-window.js';

/** One commit carries what closed while the last one ran; more at once would only delay the first. */
const groupBatchesMax = 64;
const groupBytesMax = 1_048_576;

/**
 * The disk may be full for a while or gone for good; the batcher's bound keeps memory in check meanwhile. Each attempt is
 * cheap, and ten seconds after room was made readings are on the disk again.
 */
const retryPolicy = { baseMs: 250, capMs: 5_000 };

/** Written as numbers, because the generated enumeration would load gRPC: the buffer could not take it; the stop lost it. */
const evicted: LossReason = 1;
const crashWindow: LossReason = 5;

export interface BatchWriterDeps {
  batcher: Batcher;
  buffer: EdgeBuffer;
  scheduler: Scheduler;
  random: Random;
  log: Logger;
  /** Before each append: what the batches refer to must be declared. */
  prepare(): Promise<void>;
  /** Keeps what a crash takes along within a bound that goes with each append. */
  crashWindow: CrashWindow;
  /** Batches are on disk, with the oldest time in each; `highest` is of all items that the append has brought. */
  appended(sequences: readonly number[], oldest: readonly LineTime[], highest: number | undefined): void;
  /** What the device's own rules have to write and to be told; see {@link JudgingWriter}. */
  judging?: JudgingWriter;
  /** Everything that came before `us` on the monotonic line is in the buffer. */
  writtenUntil(us: number): void;
  /** Microseconds on the device's monotonic line. */
  nowUs(): number;
  /** The segment that this line is in now; undefined while none is declared. */
  segment(): number | undefined;
}

/** What the device's own rules have to write. */
export interface JudgingRecord {
  /** Transitions, which become items in this order. */
  items: readonly EncodedBatch[];
  notes: readonly RuleNote[];
}

/** The device's own rules, as whoever writes sees them. */
export interface JudgingWriter {
  /** These batches have their sequences now, in the epoch that the buffer has. */
  judge(batches: readonly EncodedBatch[], sequences: readonly number[]): void;
  /** What is to be written with the next append; undefined for nothing. What was taken is offered again until `written`. */
  take(): JudgingRecord | undefined;
  /** What was taken last is on disk. */
  written(): void;
}

export interface BatchCounters {
  closed: number;
  bytes: number;
  readings: number;
  appendFailures: number;
  /** Taken, and not in the buffer. Those that memory had no room for are counted where they are dropped. */
  readingsLost: number;
}

interface Group {
  batches: EncodedBatch[];
  oldest: LineTime[];
  record: JudgingRecord | undefined;
}

/**
 * Takes closed batches, encodes each once, and appends them in groups. An append that fails is tried again with the same
 * bytes; in the meantime the batcher holds what comes, within its bound, and counts what it cannot.
 */
export class BatchWriter {
  readonly counters: BatchCounters = { closed: 0, bytes: 0, readings: 0, appendFailures: 0, readingsLost: 0 };
  readonly #deps: BatchWriterDeps;
  readonly #backoff: Backoff;
  #writing: Promise<void> | undefined;
  #giveUp = false;
  #overflow = 0;
  /** Readings that the stop could not bring into the buffer. */
  #abandoned = 0;
  #pumped: (() => void) | undefined;
  #endWait: (() => void) | undefined;

  constructor(deps: BatchWriterDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.random, retryPolicy);
  }

  /** Readings that are taken from the batcher and not in the buffer yet. */
  pendingReadings = 0;

  /**
   * Readings that the batcher had no memory for. They were produced like any other, so they are declared behind the next
   * batch that the buffer takes; there is one, since memory is full of them.
   */
  overflowed(readings: number): void {
    this.#overflow += readings;
  }

  /** Writes what is closed, unless that is already going on. */
  pump(): void {
    this.#pumped?.();
    if (this.#writing !== undefined) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /**
   * Resolves when everything is in the buffer, which waits for the ids of new series too, or after `timeoutMs`: what is
   * left then is lost, and logged. To be called last, after the batcher was flushed: nothing is tried again afterwards.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { scheduler, batcher, log } = this.#deps;
    const cancel = scheduler.setTimer(timeoutMs, () => {
      this.#giveUp = true;
      this.#endWait?.();
      this.#pumped?.();
    });
    for (;;) {
      this.pump();
      await this.#writing;
      if (this.#giveUp || batcher.pendingReadings === 0) break;
      // Who brings the ids pumps.
      await new Promise<void>((resolve) => {
        this.#pumped = resolve;
      });
    }
    cancel();
    this.#giveUp = true;
    const readings = batcher.pendingReadings;
    if (readings > 0) {
      this.counters.readings += readings;
      this.counters.readingsLost += readings;
      this.#abandoned += readings;
      log.error({ readings }, 'readings are lost: their series could not be declared before the stop');
    }
    await this.#declareAbandoned();
  }

  /** If this fails too, the buffer will not be closed in order, and the next start declares a bound. */
  async #declareAbandoned(): Promise<void> {
    const readings = this.#abandoned + this.#overflow;
    if (readings === 0) return;
    try {
      await this.#deps.buffer.lose([{ readings, reason: crashWindow }]);
      this.#abandoned = 0;
      this.#overflow = 0;
    } catch (thrown) {
      const details = TributaryError.from(thrown).message;
      this.#deps.log.error({ readings, details }, 'what the stop has lost cannot be declared now');
    }
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    for (;;) {
      const group = this.#take();
      if (group.batches.length === 0 && group.record === undefined) return;
      const takenUntilUs = this.#deps.batcher.takenUntilUs(this.#deps.nowUs());
      const isWritten = await this.#append(group);
      if (isWritten && takenUntilUs !== undefined) this.#deps.writtenUntil(takenUntilUs);
    }
  }

  #take(): Group {
    const group: Group = { batches: [], oldest: [], record: this.#deps.judging?.take() };
    let bytes = 0;
    while (group.batches.length < groupBatchesMax && bytes < groupBytesMax) {
      const taken = this.#deps.batcher.take();
      if (taken === undefined) break;
      const { readings } = taken.batch;
      try {
        const body = encodeBatch(taken.batch);
        group.batches.push({ body, readings, isProtected: taken.isProtected });
        group.oldest.push(oldestTime(taken.batch));
        bytes += body.length;
        this.counters.closed++;
        this.counters.bytes += body.length;
        this.counters.readings += readings;
        this.pendingReadings += readings;
      } catch (thrown) {
        this.#lose(readings, TributaryError.from(thrown).message);
      } finally {
        taken.release();
      }
    }
    return group;
  }

  /** Whether the group is in the buffer; it is not when that was given up. */
  async #append({ batches, oldest, record }: Group): Promise<boolean> {
    const { judging } = this.#deps;
    const transitions = record?.items ?? [];
    // What has no readings in it says nothing about how many are usual.
    const bound = batches.length === 0 ? {} : { crashBound: this.#deps.crashWindow.taken(batches) };
    while (!this.#giveUp) {
      try {
        await this.#deps.prepare();
        const segment = this.#deps.segment();
        const line = segment === undefined ? {} : { line: { segment, us: this.#deps.nowUs() } };
        const ruleNotes = record === undefined ? {} : { ruleNotes: record.notes };
        const notes = { ...bound, ...line, ...ruleNotes };
        const { sequences, evictedReadings } = await this.#deps.buffer.append([...transitions, ...batches], notes);
        if (batches.length > 0) this.#deps.crashWindow.written();
        this.#backoff.succeeded();
        this.#forget(batches);
        if (evictedReadings > 0) {
          this.#deps.log.error({ readings: evictedReadings }, 'the buffer is full: its oldest readings were evicted');
        }
        // Transitions are about readings that came before.
        const ofBatches = sequences.slice(transitions.length);
        if (record !== undefined) judging?.written();
        judging?.judge(batches, ofBatches);
        this.#deps.appended(ofBatches, oldest, sequences.at(-1));
        await this.#declareOverflow();
        return true;
      } catch (thrown) {
        this.counters.appendFailures++;
        const retryInMs = Math.round(this.#backoff.failed());
        const details = TributaryError.from(thrown).message;
        this.#deps.log.error({ details, retryInMs }, 'the buffer cannot be written; readings wait in memory');
        await this.#wait(retryInMs);
      }
    }
    const readings = this.#forget(batches);
    this.counters.readingsLost += readings;
    this.#abandoned += readings;
    this.#deps.log.error({ readings }, 'readings are lost: the buffer could not be written before the stop');
    return false;
  }

  async #declareOverflow(): Promise<void> {
    const readings = this.#overflow;
    if (readings === 0) return;
    this.#overflow = 0;
    this.#deps.log.error({ readings }, 'readings are lost: memory was full while the buffer could not be written');
    await this.#declare(readings);
  }

  /** Declares readings as produced and lost. Never rejects: what cannot be declared now comes with the next append. */
  async #declare(readings: number): Promise<void> {
    try {
      await this.#deps.buffer.lose([{ readings, reason: evicted }]);
      this.counters.readings += readings;
    } catch (thrown) {
      this.#overflow += readings;
      const details = TributaryError.from(thrown).message;
      this.#deps.log.error({ readings, details }, 'the loss cannot be declared yet');
    }
  }

  #forget(batches: readonly EncodedBatch[]): number {
    let readings = 0;
    for (const batch of batches) readings += batch.readings;
    this.pendingReadings -= readings;
    return readings;
  }

  #wait(delayMs: number): Promise<void> {
    if (this.#giveUp) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#deps.scheduler.setTimer(delayMs, resolve);
      this.#endWait = () => {
        cancel();
        resolve();
      };
    });
  }

  /** A batch that cannot be encoded is a bug of this agent; it must cost that batch and no more, and stand in the ledger. */
  #lose(readings: number, details: string): void {
    this.counters.readingsLost += readings;
    this.#deps.log.error({ readings, details }, 'a batch cannot be encoded; its readings are lost');
    void this.#declare(readings);
  }
}

/** The oldest time of a batch, which need not be its first. Times of a batch are in microseconds here. */
function oldestTime(batch: Batch): LineTime {
  let oldest = Number.POSITIVE_INFINITY;
  for (const { rows, times } of batch.groups)
    for (let row = 0; row < rows; row++) oldest = Math.min(oldest, times[row]);
  const base = Number(batch.baseTime);
  return { segment: batch.segment, us: Number.isFinite(oldest) ? base + oldest : base };
}
