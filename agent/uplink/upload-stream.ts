import { pushSequence } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { Lane, type UploadHeader } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BacklogLane } from './backlog-lane.js';
import { type Selection, type SendQueue, sentBytes } from './send-queue.js';
import type { UplinkOutbox } from './uplink-outbox.js';

/** What streams share. */
export interface StreamSurroundings {
  outbox: UplinkOutbox;
  queue: SendQueue;
  backlog: BacklogLane;
  /** The highest sequence in the buffer. */
  highest(): number;
  /** Whether a new live stream stays open for what comes next. */
  lingers(): boolean;
  /** Bytes of bodies in the buffer when it was last asked. */
  bytesWaiting(): number;
  /** These are sent and not answered, all of them. */
  inDoubt(ranges: SequenceRange[]): void;
}

/** The header's own bytes in a stream, so that header and items stay within the bound together. */
const headerBytesMax = 256;

/**
 * One client stream: writes what is read, one message at a time and one read ahead, in order of sequence, and half-closes
 * when its bytes or its time are used up or nothing waits. A live one may linger: it stays open for what comes next, since
 * a call costs both sides more than the batch in it, and the collector commits what arrives without waiting for the end.
 */
export class UploadStream {
  readonly id: number;
  readonly lane: Lane;
  readonly epoch: Uint8Array;
  readonly startedMs: number;
  readonly bytesMax: number;
  bytes = 0;
  items = 0;
  readonly sent: SequenceRange[] = [];
  finished = false;
  /** It began with the oldest item, and nothing on the way stepped aside. */
  isWhole: boolean;
  #next: number;
  #blocked = false;
  #chunk: Item[] | undefined;
  #reading: number | undefined;
  #lingers: boolean;
  readonly #with: StreamSurroundings;

  constructor(surroundings: StreamSurroundings, link: number, lane: Lane, header: UploadHeader, first: Selection) {
    const { outbox, queue } = surroundings;
    this.#with = surroundings;
    this.id = outbox.id();
    this.lane = lane;
    this.epoch = header.epoch;
    this.startedMs = outbox.nowMs;
    this.bytesMax = UploadStream.bytesMax(queue);
    this.#next = first.nextSequence;
    this.isWhole = first.isWhole;
    this.#lingers = surroundings.lingers() && lane === Lane.LIVE && first.items.length > 0;
    outbox.effect({ type: 'open', link, stream: this.id });
    this.#write(first.items, header);
    this.#carryOn();
  }

  /** What a stream may carry beside its header, now. */
  static bytesMax(queue: SendQueue): number {
    return queue.streamBytes - headerBytesMax;
  }

  /** Whether `call` is the read that this stream waits for. */
  reads(call: number): boolean {
    return this.#reading === call;
  }

  /** The write has been taken. */
  writable(): void {
    this.#blocked = false;
    if (!this.finished) this.#carryOn();
  }

  /** The answer to the read: `items` from where the stream is; none when nothing waits up to `highestRead`. */
  read(selection: Selection): void {
    this.#reading = undefined;
    if (this.finished) return;
    this.#next = selection.nextSequence;
    this.isWhole &&= selection.isWhole;
    if (selection.items.length > 0) this.#chunk = selection.items;
    else if (selection.ended) {
      this.finish();
      return;
    }
    this.#carryOn();
  }

  get nextSequence(): number {
    return this.#next;
  }

  get bytesLeft(): number {
    return this.bytesMax - this.bytes;
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

  #write(items: Item[], header: UploadHeader | undefined): void {
    for (const item of items) {
      pushSequence(this.sent, item.sequence);
      this.bytes += sentBytes(item);
    }
    this.items += items.length;
    this.#blocked = true;
    if (items.length > 0) this.#with.inDoubt(this.sent.map((range) => ({ ...range })));
    this.#with.outbox.effect({ type: 'write', stream: this.id, header, items });
  }

  /** Writes what was read ahead, reads ahead, lingers, or half-closes: whichever is next. */
  #carryOn(): void {
    if (this.#chunk !== undefined && !this.#blocked) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      this.#write(chunk, undefined);
    }
    if (this.#chunk !== undefined || this.#reading !== undefined) return;
    const isDrained = this.#next > this.#with.highest();
    if (isDrained && this.#lingers) return;
    if (isDrained || this.bytesLeft <= 0 || this.#isBackfillDone()) this.finish();
    else this.#readAhead();
  }

  /** What is left is little or young: it goes in a live stream. */
  #isBackfillDone(): boolean {
    if (this.lane !== Lane.BACKFILL) return false;
    const bytesLeft = this.#with.bytesWaiting() - this.bytes;
    return this.#with.backlog.laneOf(this.#next, bytesLeft, this.#with.outbox.nowMs) === Lane.LIVE;
  }

  #readAhead(): void {
    const { outbox, queue } = this.#with;
    this.#reading = outbox.id();
    this.#next = queue.skip(this.#next);
    outbox.effect(queue.readEffect(this.#reading, this.#next, this.bytesLeft));
  }
}
