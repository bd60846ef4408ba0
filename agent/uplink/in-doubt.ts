import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { UplinkOutbox } from './uplink-outbox.js';

/** What of the buffer decides whether it must know of each message. */
export interface BufferPressure {
  readonly epoch: Uint8Array;
  /** It is far from full: it evicts nothing before the answer or the watchdog comes. */
  readonly isRoomy: boolean;
}

/** What is sent and not answered, and whether the buffer, which evicts it last, was told. */
export class InDoubt {
  readonly #outbox: UplinkOutbox;
  readonly #pressure: BufferPressure;
  #ranges: SequenceRange[] = [];
  #isTold = false;

  constructor(outbox: UplinkOutbox, pressure: BufferPressure) {
    this.#outbox = outbox;
    this.#pressure = pressure;
  }

  /** These are under way, all of them. */
  sending(ranges: SequenceRange[]): void {
    this.#ranges = ranges;
    if (!this.#pressure.isRoomy) this.#tell();
  }

  /** Settles what was in doubt but for these; says nothing when the buffer knows of nothing and there is nothing. */
  settle(ranges: SequenceRange[]): void {
    this.#ranges = ranges;
    if (ranges.length > 0 || this.#isTold) this.#tell();
  }

  /** The answer will not come: the items stay in doubt until Register, however long that takes. */
  unanswered(): void {
    if (this.#ranges.length > 0) this.#tell();
  }

  /** What was sent is not in the buffer any more. */
  newEpoch(): void {
    this.#ranges = [];
    this.#isTold = false;
  }

  #tell(): void {
    this.#isTold = this.#ranges.length > 0;
    this.#outbox.effect({ type: 'in-doubt', epoch: this.#pressure.epoch, ranges: this.#ranges });
  }
}
