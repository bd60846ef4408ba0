import { BatchError } from './batch-error.js';

/**
 * A loop may take this many bits beyond the end before it asks `check`: the bits there read as zero. It covers the
 * longest codes of 32 values, the stride of the integer loops.
 */
const PADDING_WORDS = 160;

/**
 * Reads the bits that BitWriter wrote. The bytes are copied into words of its own first: that gives alignment, and
 * zeros beyond the end, so the hot loops need no bounds check for each value.
 */
export class BitReader {
  words = new Uint32Array(4096);
  #bytes = new Uint8Array(this.words.buffer);
  /** In bits. */
  position = 0;
  end = 0;

  load(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const words = ((length + 3) >>> 2) + PADDING_WORDS;
    if (words > this.words.length) {
      this.words = new Uint32Array(words * 2);
      this.#bytes = new Uint8Array(this.words.buffer);
    }
    const bytes = this.#bytes;
    if (length <= 64) {
      for (let i = 0; i < length; i++) bytes[i] = source[start + i]!;
    } else {
      bytes.set(source.subarray(start, end));
    }
    bytes.fill(0, length, length + PADDING_WORDS * 4 - 4);
    this.position = 0;
    this.end = length * 8;
  }

  /** Throws when more bits were taken than there are. */
  check(): void {
    if (this.position > this.end) throw new BatchError('malformed', 'truncated');
  }

  /** Takes 0 to 32 bits, unsigned. */
  bits(length: number): number {
    if (length === 0) return 0;
    const position = this.position;
    const index = position >>> 5;
    const shift = position & 31;
    const window = (this.words[index]! >>> shift) | ((this.words[index + 1]! << 1) << (31 - shift));
    this.position = position + length;
    if (position + length > this.end) throw new BatchError('malformed', 'truncated');
    return length === 32 ? window >>> 0 : window & ((1 << length) - 1);
  }

  unsigned(): number {
    const length = this.bits(6);
    if (length === 0) return 0;
    if (length <= 32) return ((1 << (length - 1)) | this.bits(length - 1)) >>> 0;
    if (length > 53) throw new BatchError('malformed', 'integer');
    const low = this.bits(32);
    return low + ((1 << (length - 33)) | this.bits(length - 33)) * 4294967296;
  }

  signed(): number {
    const magnitude = this.unsigned();
    return magnitude !== 0 && this.bits(1) === 1 ? -magnitude : magnitude;
  }

  /** An unsigned integer that may not exceed `max`. */
  atMost(max: number, field: string): number {
    const value = this.unsigned();
    if (value > max) throw new BatchError('limit', field);
    return value;
  }
}
