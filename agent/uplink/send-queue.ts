import { normalRanges, rangeOf } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { ITEM_OVERHEAD_BYTES_MAX } from '@tributary/proto/items/upload-wire';
import { transitionIds } from '../buffer/transition-ids.js';
import type { UplinkEffect } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';

/** What an item takes in a message at the most. */
export function sentBytes(item: Item): number {
  return item.body.length + ITEM_OVERHEAD_BYTES_MAX;
}

/** The part of a read that may go into the next message. */
export interface Selection {
  items: Item[];
  bytes: number;
  /** The first sequence that was not looked at. */
  nextSequence: number;
  /** Larger than the collector takes, whatever is tried. */
  tooLarge: Item[];
  /** Nothing at or after `nextSequence` may go into this stream. */
  ended: boolean;
}

/**
 * The latest segment that an item refers to; 0 for what is of no segment. FORMAT.md: the segment is the first field of a
 * batch, if it is not 0.
 */
function segmentOf({ kind, body }: Item): number {
  if (kind === ItemKind.TRANSITION) return Math.max(0, ...transitionIds(body).segments);
  if (kind !== ItemKind.BATCH || body[0] !== 0x08) return 0;
  let segment = 0;
  for (let at = 1, scale = 1; at < body.length; at++, scale *= 0x80) {
    segment += (body[at] & 0x7f) * scale;
    if (body[at] < 0x80) break;
  }
  return segment;
}

interface Held {
  range: SequenceRange;
  untilMs: number;
}

/**
 * Which of the waiting items may be sent now, and how much at once. Items step aside for a while (held), or for this
 * epoch (forked). While a fork is being sorted out, only items that another copy of the buffer may have sent are sent.
 */
export class SendQueue {
  readonly #own: UplinkLimits;
  #limits: UplinkLimits;
  #streamBytes: number;
  #messageBytes: number;
  #held: Held[] = [];
  #forked: SequenceRange[] = [];
  #upTo: number | undefined;
  #segmentMax = Number.POSITIVE_INFINITY;
  #alone = { sequence: 0, failures: 0 };

  constructor(limits: UplinkLimits) {
    this.#own = limits;
    this.#limits = limits;
    this.#streamBytes = limits.streamBytesMax;
    this.#messageBytes = limits.messageBytesMax;
  }

  get limits(): UplinkLimits {
    return this.#limits;
  }

  get streamBytes(): number {
    return Math.min(this.#streamBytes, this.#limits.streamBytesMax);
  }

  get messageBytes(): number {
    return Math.min(this.#messageBytes, this.#limits.messageBytesMax);
  }

  /** What the collector says it accepts; 0 says nothing. Stays within the own limits. */
  accept(
    theirs: Partial<Record<'itemBytesMax' | 'messageBytesMax' | 'streamBytesMax' | 'streamDurationMsMax', number>>,
  ) {
    const lower = (own: number, their: number | undefined) => (their ? Math.min(own, their) : own);
    const messageBytes = lower(this.#own.itemBytesMax + ITEM_OVERHEAD_BYTES_MAX, theirs.messageBytesMax);
    this.#limits = {
      ...this.#own,
      itemBytesMax: Math.min(
        lower(this.#own.itemBytesMax, theirs.itemBytesMax),
        messageBytes - ITEM_OVERHEAD_BYTES_MAX,
      ),
      messageBytesMax: lower(this.#own.messageBytesMax, theirs.messageBytesMax),
      streamBytesMax: lower(this.#own.streamBytesMax, theirs.streamBytesMax),
      streamDurationMs: lower(this.#own.streamDurationMs, theirs.streamDurationMsMax),
    };
  }

  /** A stream was answered with progress: the next may be twice as large. */
  succeeded(bytes: number): void {
    this.#streamBytes = Math.min(this.#own.streamBytesMax, Math.max(this.#streamBytes, bytes) * 2);
    this.#alone.failures = 0;
  }

  /** A stream broke: the next is half as large, down to a single item. */
  broke(bytes: number): void {
    this.#streamBytes = Math.max(1, Math.floor(Math.min(this.#streamBytes, bytes) / 2));
  }

  /** A message was too large for the collector. It does not grow again before the next registration. */
  messageTooLarge(bytes: number): void {
    this.#messageBytes = Math.max(1, Math.floor(Math.min(this.#messageBytes, bytes) / 2));
  }

  registered(): void {
    this.#messageBytes = this.#own.messageBytesMax;
  }

  /** Counts that this item was the only one in a stream that failed; answers how often in a row. */
  failedAlone(sequence: number): number {
    this.#alone = { sequence, failures: this.#alone.sequence === sequence ? this.#alone.failures + 1 : 1 };
    return this.#alone.failures;
  }

  /** These step aside until then. */
  hold(ranges: readonly SequenceRange[], untilMs: number): void {
    for (const range of ranges) this.#held.push({ range: { ...range }, untilMs });
    this.#held.sort((a, b) => a.range.first - b.range.first);
    while (this.#held.length > this.#limits.heldRangesMax) this.#mergeNearest();
  }

  /** Two neighbours become one, with what lies between: it waits longer than it must, and nothing is lost. */
  #mergeNearest(): void {
    let at = 1;
    const gap = (i: number) => this.#held[i].range.first - this.#held[i - 1].range.last;
    for (let i = 2; i < this.#held.length; i++) if (gap(i) < gap(at)) at = i;
    const [left, right] = [this.#held[at - 1], this.#held[at]];
    left.range.last = Math.max(left.range.last, right.range.last);
    left.untilMs = Math.min(left.untilMs, right.untilMs);
    this.#held.splice(at, 1);
  }

  /** When the first held item may be tried again. */
  heldUntilMs(): number {
    let untilMs = Number.POSITIVE_INFINITY;
    for (const held of this.#held) untilMs = Math.min(untilMs, held.untilMs);
    return untilMs;
  }

  /** The first sequence that is held, from there on. */
  firstHeld(fromSequence: number): number | undefined {
    const range = this.#held.find((held) => held.range.last >= fromSequence)?.range;
    return range === undefined ? undefined : Math.max(range.first, fromSequence);
  }

  /** Lets those go whose time has come; whether there were any. */
  release(nowMs: number): boolean {
    const before = this.#held.length;
    if (before > 0) this.#held = this.#held.filter((held) => held.untilMs > nowMs);
    return this.#held.length < before;
  }

  /**
   * The collector has other bytes under these. Until the new epoch only items up to `upTo` are sent, and only batches of
   * segments up to `segmentMax`: it knows later ones by another boot, or not at all.
   */
  forked(ranges: readonly SequenceRange[], upTo: number, segmentMax = this.#segmentMax): void {
    this.#segmentMax = segmentMax;
    this.#forked = normalRanges([...this.#forked, ...ranges]);
    this.#upTo = Math.max(this.#upTo ?? 0, upTo, this.#forked.at(-1)?.last ?? 0);
  }

  /** The last sequence that may be sent. */
  get upTo(): number {
    return this.#upTo ?? Number.POSITIVE_INFINITY;
  }

  get isForked(): boolean {
    return this.#upTo !== undefined;
  }

  /** Sequences begin anew. */
  newEpoch(): void {
    this.#held = [];
    this.#forked = [];
    this.#upTo = undefined;
    this.#segmentMax = Number.POSITIVE_INFINITY;
    this.#alone = { sequence: 0, failures: 0 };
  }

  /** Asks the buffer for as much as one message can take. */
  readEffect(call: number, fromSequence: number, bytesLeft: number): UplinkEffect {
    const maxBytes = Math.max(1, Math.min(this.messageBytes, bytesLeft));
    return { type: 'read', call, fromSequence, maxBytes, maxItems: this.#limits.readItemsMax };
  }

  /** The first sequence from there on that does not step aside. */
  skip(fromSequence: number): number {
    let sequence = fromSequence;
    for (let before = 0; before !== sequence; ) {
      before = sequence;
      const forked = rangeOf(this.#forked, sequence);
      if (forked !== undefined) sequence = forked.last + 1;
      for (const { range } of this.#held) {
        if (range.first <= sequence && sequence <= range.last) sequence = range.last + 1;
      }
    }
    return sequence;
  }

  /**
   * Takes from a read what fits into one message and into the stream's remaining bytes. The first item of a stream is
   * taken even when it alone is more than the remaining bytes, or nothing would ever go. Nothing above `last` is taken.
   */
  select(items: readonly Item[], fromSequence: number, last: number, bytesLeft: number, first: boolean): Selection {
    const selection: Selection = {
      items: [],
      bytes: 0,
      nextSequence: fromSequence,
      tooLarge: [],
      ended: false,
    };
    const messageLeft = Math.min(this.messageBytes, bytesLeft);
    for (const item of items) {
      if (item.sequence > last) {
        selection.nextSequence = last + 1;
        selection.ended = true;
        break;
      }
      const { sequence } = item;
      if (segmentOf(item) > this.#segmentMax) this.forked([{ first: sequence, last: sequence }], sequence);
      if (this.skip(sequence) === sequence) {
        const bytes = sentBytes(item);
        if (item.body.length > this.#limits.itemBytesMax) selection.tooLarge.push(item);
        else if (selection.bytes + bytes <= messageLeft) this.#take(selection, item, bytes);
        else if (selection.items.length === 0 && (first || bytes <= bytesLeft)) this.#take(selection, item, bytes);
        else {
          selection.ended = selection.items.length === 0;
          break;
        }
      }
      selection.nextSequence = item.sequence + 1;
    }
    return selection;
  }

  #take(selection: Selection, item: Item, bytes: number): void {
    selection.items.push(item);
    selection.bytes += bytes;
  }
}
