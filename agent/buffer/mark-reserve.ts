import type { BufferState } from './item-table.js';

/**
 * What is reserved lasts for about so long. After a lost tail all of it is declared as a bound, so it is to be a figure that
 * a person can still make use of. A mark is 256 bytes, a block of 4,096 for the disk; at one append a second, that is half a
 * percent of what the appends of this time write.
 */
const IMMEDIATE_MS = 180_000;
/** Deferred durability writes once in two minutes while all is well, so it can afford a mark less often. */
const DEFERRED_MS = 1_800_000;
/** However far apart appends are: a mark is then little more than a hundredth of what those it covers write. */
const SEQUENCES_MIN = 64;
const SEQUENCES_MAX = 4_096;
const READINGS_MIN = 1_024;
const READINGS_MAX = 2 ** 27;
/** A rate that jumps is followed in steps, so that one burst does not reserve for hours. */
const GROWTH = 4;
/** Batches are not all of one size; where they are larger yet, the next mark comes a little earlier. */
const HEADROOM = 1.25;

export interface Reserve {
  sequences: number;
  readings: number;
}

/** How much a high-water mark reserves, so that the next is due after some minutes at the rate of late. */
export class MarkReserve {
  readonly #lastsMs: number;
  #reserve: Reserve = { sequences: SEQUENCES_MIN, readings: READINGS_MIN };
  #last: { epoch: Uint8Array; atMs: number; sequence: number; readings: number } | undefined;

  constructor(isDeferred: boolean) {
    this.#lastsMs = isDeferred ? DEFERRED_MS : IMMEDIATE_MS;
  }

  /** For a mark that is written at this moment, in monotonic milliseconds. */
  next({ epoch, highestSequence, readingsProduced }: Readonly<BufferState>, nowMs: number): Reserve {
    const last = this.#last;
    this.#last = { epoch, atMs: nowMs, sequence: highestSequence, readings: readingsProduced };
    const before = this.#reserve;
    if (last === undefined || Buffer.compare(last.epoch, epoch) !== 0) return before;
    const used = { sequences: highestSequence - last.sequence, readings: readingsProduced - last.readings };
    // A mark that was written for the catalogue's sake, or after an error, tells nothing about a rate.
    if (used.sequences < 1 || (used.sequences < before.sequences / 2 && used.readings < before.readings / 2))
      return before;
    const wanted = (used.sequences * this.#lastsMs) / Math.max(1, nowMs - last.atMs);
    const sequences = Math.ceil(clamp(wanted, SEQUENCES_MIN, Math.min(before.sequences * GROWTH, SEQUENCES_MAX)));
    const perSequence = used.readings / used.sequences;
    const most = Math.min(before.readings * GROWTH, READINGS_MAX);
    const readings = Math.ceil(clamp(perSequence * sequences * HEADROOM, READINGS_MIN, most));
    this.#reserve = { sequences, readings };
    return this.#reserve;
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
