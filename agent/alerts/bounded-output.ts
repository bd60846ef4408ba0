/** The end of what a command says: the last line tells what went wrong. What comes before is read and dropped. */
export class BoundedOutput {
  readonly #bytesMax: number;
  #kept: Buffer = Buffer.alloc(0);
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const all = chunk.length >= this.#bytesMax ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = Buffer.from(all.subarray(Math.max(0, all.length - this.#bytesMax)));
  }

  /** Bytes that were said. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of them that are not in {@link text}. */
  get droppedBytes(): number {
    return this.#bytes - this.#kept.length;
  }

  get text(): string {
    return this.#kept.toString().trimEnd();
  }
}
