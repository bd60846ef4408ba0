import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { LogFile } from './log-file.js';
import { PAGE_BYTES } from './row-size.js';

/** Pages are read in blocks, and a few of them kept: the rest of a long row lies on pages near to its beginning. */
const BLOCK_BYTES = 64 * 1024;
const BLOCKS_MAX = 64;

/** The pages of a database file and of its log, whatever state they are in. It only reads, and never through SQLite. */
export class RawPages {
  readonly pages: number;
  readonly log: LogFile | undefined;
  readonly #file: number | undefined;
  readonly #bytes: number;
  readonly #blocks = new Map<number, Buffer>();
  /** Frames by page, oldest first. */
  readonly #frames = new Map<number, number[]>();

  /** `log`: its frames, or undefined where it is not to be believed. A database that is not there has no pages. */
  constructor(path: string, log: LogFile | undefined) {
    this.log = log;
    this.#file = openIfThere(path);
    this.#bytes = this.#file === undefined ? 0 : fstatSync(this.#file).size;
    this.pages = Math.ceil(this.#bytes / PAGE_BYTES);
    for (const [at, { page }] of (log?.frames ?? []).entries()) {
      const frames = this.#frames.get(page);
      if (frames === undefined) this.#frames.set(page, [at]);
      else frames.push(at);
    }
  }

  /** A page as it was after so many frames of the log; all of them where not told. 512 bytes, or fewer at a cut end. */
  page(number: number, frames = Number.POSITIVE_INFINITY): Buffer | undefined {
    const at = this.#frames.get(number)?.findLast((frame) => frame < frames);
    return at === undefined ? this.pageOfFile(number) : this.log!.frames[at].image;
  }

  /** All that is left of a page, newest first; `frames` is the log up to the end of the transaction that wrote it. */
  *images(number: number): Iterable<{ image: Buffer; frames: number }> {
    for (const at of (this.#frames.get(number) ?? []).toReversed()) {
      const { frames } = this.log!;
      const commit = frames.findIndex(({ isCommit }, frame) => isCommit && frame >= at);
      yield { image: frames[at].image, frames: commit === -1 ? frames.length : commit + 1 };
    }
    const image = this.pageOfFile(number);
    if (image !== undefined) yield { image, frames: 0 };
  }

  /** The pages that the log alone has. */
  get pagesOfLog(): number[] {
    return [...this.#frames.keys()].filter((page) => page > this.pages);
  }

  /** A page as it is in the database's own file. */
  pageOfFile(number: number): Buffer | undefined {
    const start = (number - 1) * PAGE_BYTES;
    if (start < 0 || start >= this.#bytes) return undefined;
    const block = this.#block(Math.floor(start / BLOCK_BYTES));
    return block.subarray(start % BLOCK_BYTES, (start % BLOCK_BYTES) + PAGE_BYTES);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  /** A part that the disk does not give is zeros. */
  #block(number: number): Buffer {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    if (this.#blocks.size >= BLOCKS_MAX) this.#blocks.delete(this.#blocks.keys().next().value!);
    const start = number * BLOCK_BYTES;
    const block = Buffer.alloc(Math.min(BLOCK_BYTES, this.#bytes - start));
    try {
      readSync(this.#file!, block, 0, block.length, start);
    } catch {
      readPageByPage(this.#file!, block, start);
    }
    this.#blocks.set(number, block);
    return block;
  }
}

function readPageByPage(file: number, block: Buffer, start: number): void {
  for (let at = 0; at < block.length; at += PAGE_BYTES) {
    try {
      readSync(file, block, at, Math.min(PAGE_BYTES, block.length - at), start + at);
    } catch {
      // This sector is gone; its neighbours may not be.
    }
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
