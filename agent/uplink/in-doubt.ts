import { normalRanges, rangesWithout } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { UplinkOutbox } from './uplink-outbox.js';

/** What decides whether the buffer must know of each message, and what is under way. */
export interface DoubtSurroundings {
  readonly epoch: Uint8Array;
  /** The buffer is far from full: it evicts nothing before the answer or the watchdog comes. */
  readonly isRoomy: boolean;
  /** Sent on this connection and not answered, of this epoch. */
  readonly underWay: SequenceRange[];
}

/**
 * What is sent and not answered, of all streams and of those before that never were answered, and whether the buffer,
 * which evicts it last, was told.
 */
export class InDoubt {
  readonly #outbox: UplinkOutbox;
  readonly #with: DoubtSurroundings;
  /** Of streams that are over. */
  #left: SequenceRange[] = [];
  /** After a start the buffer may know of doubt from before it. */
  #isTold = true;

  constructor(outbox: UplinkOutbox, surroundings: DoubtSurroundings) {
    this.#outbox = outbox;
    this.#with = surroundings;
  }

  /** A message more is under way. */
  sending(): void {
    if (!this.#with.isRoomy) this.#tell();
  }

  /** A stream was answered, and is under way no more: `sent` is settled but for `unnamed`. */
  answered(sent: readonly SequenceRange[], unnamed: readonly SequenceRange[]): void {
    this.#left = normalRanges([...rangesWithout(this.#left, sent), ...unnamed]);
    this.#tellIfKnown();
  }

  /** A stream broke, and is under way no more. */
  broke(sent: readonly SequenceRange[]): void {
    this.#left = normalRanges([...this.#left, ...sent]);
    this.#tellIfKnown();
  }

  /** Register was answered: nothing is in doubt any more but what the collector has and nobody could compare. */
  registered(uncompared: readonly SequenceRange[]): void {
    this.#left = normalRanges(uncompared);
    this.#tellIfKnown();
  }

  /**
   * The connection goes: nothing more is sent, and what has no answer stays in doubt until Register, however long, and so
   * does what is `claimed`.
   */
  stopSending(claimed: readonly SequenceRange[]): void {
    this.#left = normalRanges([...this.#all(), ...claimed]);
    this.#isTold = this.#left.length > 0;
    this.#outbox.effect({ type: 'stop-sending', epoch: this.#with.epoch, ranges: this.#left });
  }

  /** What was sent is not in the buffer any more. */
  newEpoch(): void {
    this.#left = [];
    this.#isTold = false;
  }

  #all(): SequenceRange[] {
    return normalRanges([...this.#left, ...this.#with.underWay]);
  }

  /** Says nothing when the buffer knows of nothing and there is nothing, or only what it need not know yet. */
  #tellIfKnown(): void {
    if (this.#isTold || this.#left.length > 0) this.#tell();
  }

  #tell(): void {
    const ranges = this.#all();
    this.#isTold = ranges.length > 0;
    this.#outbox.effect({ type: 'in-doubt', epoch: this.#with.epoch, ranges });
  }
}
