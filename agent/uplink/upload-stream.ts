import { pushSequence } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { UploadHeader } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { PipeMark } from './pipe-estimate.js';
import { type Selection, type SendQueue, sentBytes } from './send-queue.js';
import type { UplinkOutbox } from './uplink-outbox.js';

/** What a stream needs of its lane. */
export interface StreamSurroundings {
  outbox: UplinkOutbox;
  queue: SendQueue;
  /** The last sequence that the lane may send now. */
  last(): number;
  /** Something more is sent and not answered. */
  sending(): void;
}

/** How a stream begins. */
export interface StreamStart {
  link: number;
  header: UploadHeader;
  /** The oldest live item that waits, for the watermark; undefined when none does. */
  oldestLive: number | undefined;
  first: Selection;
  /** What it may carry beside its header. */
  bytesMax: number;
  /** Stays open for what comes next. */
  lingers: boolean;
  mark: PipeMark;
}

/**
 * One client stream: writes what is read, one message at a time and one read ahead, in order of sequence, and half-closes
 * when its bytes or its time are used up or nothing waits. A live one may linger: it stays open for what comes next, since
 * a call costs both sides more than the batch in it, and the collector commits what arrives without waiting for the end.
 */
export class UploadStream {
  readonly id: number;
  readonly epoch: Uint8Array;
  readonly startedMs: number;
  /** Of the pipe as it was at the start. */
  readonly mark: PipeMark;
  bytes = 0;
  items = 0;
  readonly sent: SequenceRange[] = [];
  finished = false;
  /** Its bytes were used up, so the pipe and nothing else decided how long it took. */
  isFull = false;
  /** The first sequence that neither was sent nor was passed over: where the next stream goes on. */
  resumesAt: number;
  #next: number;
  #blocked = false;
  #chunk: Selection | undefined;
  #reading: number | undefined;
  #lingers: boolean;
  #hasWaited = false;
  readonly #bytesMax: number;
  readonly #with: StreamSurroundings;

  constructor(surroundings: StreamSurroundings, start: StreamStart) {
    const { outbox } = surroundings;
    const { header, first } = start;
    this.#with = surroundings;
    this.id = outbox.id();
    this.epoch = header.epoch;
    this.startedMs = outbox.nowMs;
    this.mark = start.mark;
    this.#bytesMax = start.bytesMax;
    this.#next = first.nextSequence;
    this.resumesAt = first.nextSequence;
    this.#lingers = start.lingers && first.items.length > 0;
  }

  /** Opens it, once its lane knows of it. */
  open({ link, first, header, oldestLive }: StreamStart): void {
    this.#with.outbox.effect({ type: 'open', link, stream: this.id });
    this.#write(first, header, oldestLive);
    this.#carryOn();
  }

  /** Whether `call` is the read that this stream waits for. */
  reads(call: number): boolean {
    return this.#reading === call;
  }

  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** The write has been taken. */
  writable(): void {
    this.#blocked = false;
    if (!this.finished) this.#carryOn();
  }

  /** The answer to the read: items from where the stream is; none when nothing waits up to the lane's last. */
  read(selection: Selection): void {
    this.#reading = undefined;
    if (this.finished) return;
    this.#next = selection.nextSequence;
    if (selection.items.length > 0) this.#chunk = selection;
    else {
      this.resumesAt = this.#next;
      if (selection.ended) {
        this.isFull = this.#next <= this.#with.last() && !this.#hasWaited;
        this.finish();
        return;
      }
    }
    this.#carryOn();
  }

  get nextSequence(): number {
    return this.#next;
  }

  get bytesLeft(): number {
    return this.#bytesMax - this.bytes;
  }

  /** When its time is used up. */
  get endsAtMs(): number {
    const { lingerMs, streamDurationMs } = this.#with.queue.limits;
    return this.startedMs + (this.#lingers ? Math.min(lingerMs, streamDurationMs) : streamDurationMs);
  }

  /** More waits in the buffer. */
  appended(): void {
    if (!this.finished) this.#carryOn();
  }

  /** Ends as soon as nothing waits. */
  flush(): void {
    this.#lingers = false;
    if (!this.finished) this.#carryOn();
  }

  /** Half-closes; what was read ahead stays in the buffer. */
  finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.#chunk = undefined;
    this.#with.outbox.effect({ type: 'finish', stream: this.id });
  }

  #write(selection: Selection, header: UploadHeader | undefined, oldestLive: number | undefined): void {
    const { items } = selection;
    for (const item of items) {
      pushSequence(this.sent, item.sequence);
      this.bytes += sentBytes(item);
    }
    this.items += items.length;
    this.resumesAt = selection.nextSequence;
    this.#blocked = true;
    if (items.length > 0) this.#with.sending();
    this.#with.outbox.effect({ type: 'write', stream: this.id, header, oldestLive, items });
  }

  /** Writes what was read ahead, reads ahead, lingers, or half-closes: whichever is next. */
  #carryOn(): void {
    if (this.#chunk !== undefined && !this.#blocked) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      this.#write(chunk, undefined, undefined);
    }
    if (this.#chunk !== undefined || this.#reading !== undefined) return;
    const isDrained = this.#next > this.#with.last();
    if (isDrained && this.#lingers) {
      this.#hasWaited = true;
      return;
    }
    if (isDrained || this.bytesLeft <= 0) {
      this.isFull = !isDrained && !this.#hasWaited;
      this.finish();
    } else this.#readAhead();
  }

  #readAhead(): void {
    const { outbox, queue } = this.#with;
    this.#reading = outbox.id();
    this.#next = queue.skip(this.#next);
    outbox.effect(queue.readEffect(this.#reading, this.#next, this.bytesLeft));
  }
}
