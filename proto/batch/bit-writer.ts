/** Bits are written least significant first into little-endian words, so the words' bytes are the stream. */
export class BitWriter {
  words = new Uint32Array(4096);
  index = 0;
  /** The word that is being filled, and how many of its bits are taken (0 to 31). */
  word = 0;
  fill = 0;

  reset(): void {
    this.index = 0;
    this.word = 0;
    this.fill = 0;
  }

  /** Makes room for `bits` more bits; the writing functions do not check. */
  reserve(bits: number): void {
    const needed = this.index + (bits >>> 5) + 4;
    if (needed > this.words.length) {
      const words = new Uint32Array(Math.max(needed, this.words.length * 2));
      words.set(this.words.subarray(0, this.index));
      this.words = words;
    }
  }

  /** Writes the low `length` bits of `value` (0 to 32); the others must be zero. */
  bits(value: number, length: number): void {
    if (length === 0) return;
    const fill = this.fill;
    this.word |= value << fill;
    if (fill + length >= 32) {
      this.words[this.index++] = this.word;
      this.word = fill === 0 ? 0 : value >>> (32 - fill);
      this.fill = fill + length - 32;
    } else {
      this.fill = fill + length;
    }
  }

  /** Writes an integer from 0 to 2^53 - 1: six bits of bit length, then the bits below the leading one. */
  unsigned(value: number): void {
    const high = Math.floor(value / 4294967296);
    const low = value >>> 0;
    if (high === 0) {
      const length = 32 - Math.clz32(low);
      this.bits(length, 6);
      if (length > 1) this.bits(low & ~(1 << (length - 1)), length - 1);
      return;
    }
    const highLength = 32 - Math.clz32(high);
    this.bits(32 + highLength, 6);
    this.bits(low, 32);
    this.bits(high & ~(1 << (highLength - 1)), highLength - 1);
  }

  /** Writes an integer of at most 2^53 - 1: its magnitude, then a sign bit (1 is negative) unless it is 0. */
  signed(value: number): void {
    this.unsigned(Math.abs(value));
    if (value !== 0) this.bits(value < 0 ? 1 : 0, 1);
  }

  /** The bytes written, the last one padded with zero bits. */
  byteLength(): number {
    return this.index * 4 + ((this.fill + 7) >>> 3);
  }

  /** Copies what was written to `target` at `offset`. */
  copyTo(target: Uint8Array, offset: number): void {
    this.reserve(32);
    this.words[this.index] = this.word;
    target.set(new Uint8Array(this.words.buffer, 0, this.byteLength()), offset);
  }
}
