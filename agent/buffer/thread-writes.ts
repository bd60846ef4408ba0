import { readFileSync } from 'node:fs';

/** What a thread has written, as Linux counts it (proc(5), `/proc/thread-self/io`); zeros where there is no such file. */
export interface ThreadWrites {
  /** Bytes given to write calls: the database, its log and nothing else but a few bytes a message. */
  callBytes: number;
  /** Bytes of the whole blocks that these made the file system write, 4 KiB each at the least; 0 on one without a disk. */
  blockBytes: number;
}

/** The calling thread's writes so far. */
export function threadWrites(): ThreadWrites {
  try {
    const counts = readFileSync('/proc/thread-self/io', 'latin1');
    const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(counts)?.[1] ?? 0);
    return { callBytes: count('wchar'), blockBytes: count('write_bytes') };
  } catch {
    return { callBytes: 0, blockBytes: 0 };
  }
}
