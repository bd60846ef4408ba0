/**
 * Why bytes that arrived became no line.
 *
 * - `line_too_long`: no line end came within the limit; everything up to the next line end is discarded.
 * - `first_fragment`: what arrived before the first line end, where the beginning of that line was not seen.
 * - `unfinished_line`: the input ended within a line.
 */
export type DiscardReason = 'line_too_long' | 'first_fragment' | 'unfinished_line';

/** Bytes that became no line, line ends not counted. */
export interface Discard {
  reason: DiscardReason;
  bytes: number;
  /** True when an earlier call has already reported bytes of the same line: count bytes, not another line. */
  continued: boolean;
}

export interface Framed {
  /** Without line ends, never empty. Views: valid until the next call. */
  lines: Uint8Array[];
  discards: Discard[];
}

export interface LineFramerOptions {
  /** The longest line taken, in bytes without its line end. */
  lineBytesMax?: number;
  /**
   * Discard what comes before the first line end. A port that is opened while its device talks starts anywhere in a
   * line, and the tail of `121.5` is a number too.
   */
  discardFirstFragment?: boolean;
}

/**
 * A line of 4 KiB holds some two hundred fields, about as many as a source may have series; at 9600 baud it takes four
 * seconds. What is longer is noise or the wrong speed.
 */
export const LINE_BYTES_MAX_DEFAULT = 4096;

const LF = 0x0a;
const CR = 0x0d;

/**
 * Cuts a stream of bytes into lines. A line ends with LF, CR LF or a lone CR; empty lines are skipped, which is what
 * makes CR LF need no state of its own. Memory is bounded by the longest line, time is linear in the input, and where
 * the input is split into chunks makes no difference. After an overlong line it finds its feet at the next line end.
 */
export class LineFramer {
  readonly #lineBytesMax: number;
  // Two, so that a line handed out from one stays whole while the rest of the chunk is kept in the other.
  #kept: Uint8Array;
  #handedOut: Uint8Array;
  #keptBytes = 0;
  #skipping: 'line_too_long' | 'first_fragment' | undefined;
  #skippingReported = false;

  constructor(options: LineFramerOptions = {}) {
    this.#lineBytesMax = options.lineBytesMax ?? LINE_BYTES_MAX_DEFAULT;
    this.#kept = new Uint8Array(this.#lineBytesMax);
    this.#handedOut = new Uint8Array(this.#lineBytesMax);
    this.#skipping = options.discardFirstFragment === true ? 'first_fragment' : undefined;
  }

  /** Takes the next bytes of the stream; answers the lines that they complete and what had to be discarded. */
  decode(chunk: Uint8Array): Framed {
    const framed: Framed = { lines: [], discards: [] };
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (byte !== LF && byte !== CR) continue;
      this.#completeLine(chunk, start, at, framed);
      start = at + 1;
    }
    this.#keepRest(chunk, start, framed.discards);
    return framed;
  }

  /** The stream has ended, and its end is a line end too, as in a file; answers the last line if there is one. */
  rest(): Uint8Array | undefined {
    const bytes = this.#keptBytes;
    this.#keptBytes = 0;
    return bytes === 0 ? undefined : this.#kept.subarray(0, bytes);
  }

  /** The stream has ended; answers what is lost of an unfinished line. The framer is of no further use. */
  end(): Discard[] {
    if (this.#keptBytes === 0) return [];
    const bytes = this.#keptBytes;
    this.#keptBytes = 0;
    return [{ reason: 'unfinished_line', bytes, continued: false }];
  }

  #completeLine(chunk: Uint8Array, start: number, end: number, framed: Framed): void {
    const bytes = end - start;
    if (this.#skipping !== undefined) {
      this.#discard(this.#skipping, bytes, framed.discards);
      this.#skipping = undefined;
      this.#skippingReported = false;
    } else if (this.#keptBytes + bytes > this.#lineBytesMax) {
      this.#discard('line_too_long', this.#keptBytes + bytes, framed.discards);
      this.#keptBytes = 0;
      this.#skippingReported = false;
    } else if (this.#keptBytes > 0) {
      this.#kept.set(chunk.subarray(start, end), this.#keptBytes);
      framed.lines.push(this.#kept.subarray(0, this.#keptBytes + bytes));
      [this.#kept, this.#handedOut] = [this.#handedOut, this.#kept];
      this.#keptBytes = 0;
    } else if (bytes > 0) {
      framed.lines.push(chunk.subarray(start, end));
    }
  }

  #keepRest(chunk: Uint8Array, start: number, discards: Discard[]): void {
    const bytes = chunk.length - start;
    if (this.#skipping !== undefined) {
      this.#discard(this.#skipping, bytes, discards);
    } else if (this.#keptBytes + bytes > this.#lineBytesMax) {
      this.#discard('line_too_long', this.#keptBytes + bytes, discards);
      this.#keptBytes = 0;
      this.#skipping = 'line_too_long';
    } else {
      this.#kept.set(chunk.subarray(start), this.#keptBytes);
      this.#keptBytes += bytes;
    }
  }

  #discard(reason: DiscardReason, bytes: number, discards: Discard[]): void {
    if (bytes === 0) return;
    discards.push({ reason, bytes, continued: this.#skippingReported });
    this.#skippingReported = true;
  }
}
