/** Memory for the values of one column: the same bytes seen as doubles and as 32-bit words. */
export interface ArenaBlock {
  readonly doubles: Float64Array;
  readonly words: Uint32Array;
}

/** The smallest block: a batch of ten rows takes no more than this a column. */
const MIN_BLOCK_BITS = 4;
/** Blocks are cut from slabs of at least this many doubles (256 KiB), so that small blocks cost no allocation each. */
const SLAB_DOUBLES = 32_768;

/**
 * What an arena keeps at the most between two rounds: twice what a group commit may decode. Without it an arena would come
 * to hold the most that was ever used of each size of block.
 */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** After so many rounds it is seen what was of use in them: one to some minutes of a collector's commits. */
const LOOK_ROUNDS = 1024;

/**
 * Hands out memory for decoded batches. `reset` makes everything free again and keeps it, so a decoder that resets between
 * rounds allocates only in its first ones. A batch is valid until the next `reset`. What a burst has left is given back
 * once the rounds after it have used less than a half of it.
 *
 * Blocks come in powers of two, at most twice what was asked for; the views are kept and handed out again, because
 * making a typed-array view costs as much as decoding twenty values.
 */
export class DecodeArena {
  readonly #blocks: ArenaBlock[][] = [];
  readonly #used: number[] = [];
  #slab: ArrayBuffer = new ArrayBuffer(0);
  #slabOffset = 0;
  #bytes = 0;
  #usedBytes = 0;
  /** The most that was in use in a round since the last look, and how many rounds that is. */
  #peakBytes = 0;
  #rounds = 0;
  readonly #marked: number[] = [];
  #markedBytes = 0;

  /** Bytes that were handed out since the last `reset`. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Bytes that the arena holds, whether in use or free. */
  get byteLength(): number {
    return this.#bytes;
  }

  /** A block of at least `length` doubles. Its content is arbitrary. */
  block(length: number): ArenaBlock {
    const bits = length <= 1 << MIN_BLOCK_BITS ? MIN_BLOCK_BITS : 32 - Math.clz32(length - 1);
    while (this.#blocks.length <= bits) {
      this.#blocks.push([]);
      this.#used.push(0);
    }
    const blocks = this.#blocks[bits]!;
    const index = this.#used[bits]!++;
    this.#usedBytes += 8 << bits;
    return index < blocks.length ? blocks[index]! : this.#grow(blocks, 1 << bits);
  }

  /** Makes everything that was handed out free again: batches decoded before lose their content. */
  reset(): void {
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    this.#used.fill(0);
    this.#usedBytes = 0;
    if (this.#bytes > KEPT_BYTES_MAX) this.#giveBack();
    if (++this.#rounds < LOOK_ROUNDS) return;
    // One slab is the least that it can hold.
    if (this.#bytes > SLAB_DOUBLES * 8 && this.#bytes > 2 * this.#peakBytes) this.#giveBack();
    this.#rounds = 0;
    this.#peakBytes = 0;
  }

  /** Remembers what is in use now, for one `rewind`. */
  mark(): void {
    const used = this.#used;
    for (let bits = 0; bits < used.length; bits++) this.#marked[bits] = used[bits]!;
    this.#markedBytes = this.#usedBytes;
  }

  /** Makes free what was handed out since the last `mark`: a batch that is not kept must not hold memory. */
  rewind(): void {
    const used = this.#used;
    for (let bits = 0; bits < used.length; bits++) used[bits] = this.#marked[bits] ?? 0;
    this.#usedBytes = this.#markedBytes;
  }

  #giveBack(): void {
    this.#blocks.length = 0;
    this.#used.length = 0;
    this.#slab = new ArrayBuffer(0);
    this.#slabOffset = 0;
    this.#bytes = 0;
  }

  #grow(blocks: ArenaBlock[], length: number): ArenaBlock {
    const bytes = length * 8;
    if (this.#slabOffset + bytes > this.#slab.byteLength) {
      this.#slab = new ArrayBuffer(Math.max(bytes, SLAB_DOUBLES * 8));
      this.#slabOffset = 0;
      this.#bytes += this.#slab.byteLength;
    }
    const block = {
      doubles: new Float64Array(this.#slab, this.#slabOffset, length),
      words: new Uint32Array(this.#slab, this.#slabOffset, length * 2),
    };
    this.#slabOffset += bytes;
    blocks.push(block);
    return block;
  }
}
