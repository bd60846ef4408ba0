import type { BufferIdentity } from '../buffer/buffer.js';
import type { LineTime } from '../uplink/uplink.js';

/** What sequences count from. */
type Epoch = Pick<BufferIdentity, 'epoch' | 'highestSequence'>;

interface Appended extends LineTime {
  sequence: number;
}

/** An hour of a batch a second: what has waited for longer belongs to the backlog, which holds no watermark. */
const rememberedMax = 3600;

/** A source stamps a reading, then ends its row: this much later at the most, or it is late. */
const slackUs = 1_000_000;

/**
 * The moment before which no live reading will come any more: all of those are in the buffer, and sent in the live lane
 * once the oldest item is that waits there. What waits in the backfill lane does not count: it is no live reading. Known
 * for what this run has appended; for anything else it says nothing, which is always true.
 */
export class Watermark {
  #epoch: Uint8Array;
  #appended: Appended[] = [];
  #knownFrom: number;
  #safe: LineTime | undefined;
  #hasAbsolute = false;

  /** As the buffer is at the start: what an earlier run has left is not known. */
  constructor({ epoch, highestSequence }: Epoch) {
    this.#epoch = epoch;
    this.#knownFrom = highestSequence + 1;
  }

  /**
   * The item of this sequence of an epoch has readings from that moment on. Segment 0 has times that no clock of this device
   * bounds. An epoch may be heard of here first.
   */
  appended(epoch: Uint8Array, sequence: number, oldest: LineTime): void {
    this.newEpoch({ epoch, highestSequence: sequence - 1 });
    if (oldest.segment === 0) this.#hasAbsolute = true;
    this.#appended.push({ sequence, ...oldest });
    if (this.#appended.length > rememberedMax) {
      const dropped = this.#appended.shift();
      if (dropped !== undefined) this.#knownFrom = dropped.sequence + 1;
    }
  }

  /** Every reading from before that moment is in the buffer. */
  complete(time: LineTime): void {
    this.#safe = { segment: time.segment, us: time.us - slackUs };
  }

  /** Sequences begin anew, unless this is the epoch that is known. */
  newEpoch({ epoch, highestSequence }: Epoch): void {
    if (Buffer.compare(epoch, this.#epoch) === 0) return;
    this.#epoch = epoch;
    this.#appended = [];
    this.#knownFrom = highestSequence + 1;
  }

  /** The watermark, given the oldest item that waits in the live lane; it is not asked again for one before that. */
  at(oldestLive: number | undefined): LineTime | undefined {
    if (this.#hasAbsolute) return undefined;
    if (oldestLive === undefined) return this.#safe;
    if (oldestLive < this.#knownFrom) return undefined;
    let sent = 0;
    while (sent < this.#appended.length && this.#appended[sent].sequence < oldestLive) sent++;
    this.#appended.splice(0, sent);
    this.#knownFrom = oldestLive;
    if (this.#safe === undefined) return undefined;
    // Sources end their rows in another order than they begin them: a later item may hold an earlier reading.
    let { segment, us } = this.#safe;
    for (const oldest of this.#appended) {
      if (oldest.segment < segment || (oldest.segment === segment && oldest.us < us)) ({ segment, us } = oldest);
    }
    return { segment, us };
  }
}
