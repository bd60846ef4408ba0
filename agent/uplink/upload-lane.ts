import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type StreamStart, type StreamSurroundings, UploadStream } from './upload-stream.js';

/** Half-closed; everything until the answer is in doubt. */
interface Awaiting {
  stream: UploadStream;
  deadlineMs: number;
}

/**
 * One lane of a connection: at most one stream is being written, and those that are half-closed wait for their answers
 * beside it. Streams are begun in order of sequence. When an answer leaves something over, the lane goes back to its
 * beginning, but not before everything that it has under way is answered, so nothing is in two streams at once.
 */
export class UploadLane {
  readonly lane: Lane.LIVE | Lane.BACKFILL;
  /** What comes before is settled, under way, or was passed over. */
  next = 1;
  isRewindDue = true;
  /** The collector asked to wait. */
  pauseUntilMs = 0;
  pauseWhy = '';
  /** Answers in a row that asked to wait and brought no progress. */
  deferrals = 0;
  #reading: { call: number; fromSequence: number } | undefined;
  #open: UploadStream | undefined;
  #awaiting: Awaiting[] = [];
  readonly #with: StreamSurroundings;

  constructor(lane: Lane.LIVE | Lane.BACKFILL, surroundings: StreamSurroundings) {
    this.lane = lane;
    this.#with = surroundings;
  }

  /** A stream is being written, or about to be. */
  get isWriting(): boolean {
    return this.#reading !== undefined || this.#open !== undefined;
  }

  get isBusy(): boolean {
    return this.isWriting || this.#awaiting.length > 0;
  }

  get awaitingCount(): number {
    return this.#awaiting.length;
  }

  /** The stream that is being written. */
  get open(): UploadStream | undefined {
    return this.#open;
  }

  /** Streams without an answer, the oldest first. */
  get streams(): UploadStream[] {
    const streams = this.#awaiting.map(({ stream }) => stream);
    if (this.#open !== undefined) streams.push(this.#open);
    return streams;
  }

  get bytesUnderWay(): number {
    return this.streams.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Sent and not answered. */
  get underWay(): SequenceRange[] {
    return this.streams.flatMap(({ sent }) => sent);
  }

  /** Nothing is left to send up to there. */
  isDoneUpTo(last: number): boolean {
    return !this.isBusy && !this.isRewindDue && this.next > last;
  }

  /** Forgets what was under way: the connection is another, or about to go. */
  reset(): void {
    this.#reading = undefined;
    this.#open = undefined;
    this.#awaiting = [];
    this.isRewindDue = true;
  }

  /** Goes back to where the lane begins. */
  rewind(first: number): void {
    this.next = first;
    this.isRewindDue = false;
  }

  pause(untilMs: number, why: string): void {
    if (untilMs <= this.pauseUntilMs) return;
    this.pauseUntilMs = untilMs;
    this.pauseWhy = why;
  }

  /** Asks the buffer for the first items of the next stream. */
  read(fromSequence: number, bytesMax: number): void {
    const { outbox, queue } = this.#with;
    const call = outbox.id();
    this.#reading = { call, fromSequence: queue.skip(fromSequence) };
    outbox.effect(queue.readEffect(call, this.#reading.fromSequence, bytesMax));
  }

  /** Where the read began whose answer this is; undefined when it is not this lane's. */
  readAnswered(call: number): number | undefined {
    if (this.#reading?.call !== call) return undefined;
    const { fromSequence } = this.#reading;
    this.#reading = undefined;
    return fromSequence;
  }

  begin(start: StreamStart): void {
    this.#open = new UploadStream(this.#with, start);
    this.#open.open(start);
  }

  /** After anything that happened to the open stream: once half-closed it waits, and another may be written. */
  settle(): void {
    const stream = this.#open;
    if (stream === undefined || !stream.finished) return;
    this.#open = undefined;
    this.#awaiting.push({ stream, deadlineMs: this.#with.outbox.nowMs + this.#with.queue.limits.answerMs });
    if (!this.isRewindDue) this.next = stream.resumesAt;
  }

  /** Begins nothing more; what is written is half-closed. */
  finish(): void {
    this.#reading = undefined;
    this.#open?.finish();
    this.settle();
  }

  find(id: number): UploadStream | undefined {
    return this.streams.find((stream) => stream.id === id);
  }

  /** The stream is over. */
  remove(stream: UploadStream): void {
    if (this.#open === stream) {
      this.#open = undefined;
      if (!this.isRewindDue) this.next = stream.resumesAt;
    }
    this.#awaiting = this.#awaiting.filter((awaiting) => awaiting.stream !== stream);
  }

  /** The read failed: the lane tries again at that time. */
  readFailed(untilMs: number, why: string): void {
    if (this.#reading !== undefined) {
      this.#reading = undefined;
      this.pause(untilMs, why);
    }
    if (this.#open?.isReading) this.#open.finish();
  }

  /** The oldest stream whose answer is late. */
  late(nowMs: number): UploadStream | undefined {
    return this.#awaiting.find(({ deadlineMs }) => deadlineMs <= nowMs)?.stream;
  }

  /** When the open stream's time is used up or an answer is late. */
  get streamsDueAtMs(): number {
    let dueMs = this.#open?.endsAtMs ?? Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#awaiting) dueMs = Math.min(dueMs, deadlineMs);
    return dueMs;
  }
}
