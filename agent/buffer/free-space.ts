import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log of 256 pages and its checkpoint need no more. */
const FREE_BYTES_DEFAULT_MIN = 1 << 20;
/** What a small system lives on meanwhile: its logs, its leases, the update that would mend it. */
const FREE_BYTES_DEFAULT_MAX = 64 << 20;
/** A small partition that is the buffer's own must not lie idle. */
const FREE_PART_DEFAULT = 16;

/** Whether the file system of a file has less than `freeBytesMin` left; by default a sixteenth of it, 1 MiB to 64 MiB. */
export function isDiskFull(path: string, freeBytesMin: number | undefined): boolean {
  try {
    const { bavail, blocks, bsize } = statfsSync(dirname(path));
    return bavail * bsize < (freeBytesMin ?? freeBytesByDefault(blocks * bsize));
  } catch {
    // A file system that does not say has to refuse by itself.
    return false;
  }
}

function freeBytesByDefault(totalBytes: number): number {
  return Math.min(FREE_BYTES_DEFAULT_MAX, Math.max(FREE_BYTES_DEFAULT_MIN, totalBytes / FREE_PART_DEFAULT));
}
