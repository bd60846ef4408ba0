import { readFileSync } from 'node:fs';

/** What the kernel has counted for a process and all its threads. */
export interface ProcessUsage {
  /** User and system time, in steps of 10 ms. */
  cpuSeconds: number;
  rssBytes: number;
  /** Bytes that the process caused to be sent to the storage layer. */
  writtenBytes: number;
}

/** Linux counts processor time for /proc in hundredths of a second on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Reads /proc (see proc(5)); throws where there is none. */
export function readProcessUsage(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the name in parentheses and may hold anything; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rssKib = namedNumber(readFileSync(`/proc/${pid}/status`, 'latin1'), 'VmRSS');
  const writtenBytes = namedNumber(readFileSync(`/proc/${pid}/io`, 'latin1'), 'write_bytes');
  return { cpuSeconds: ticks / TICKS_PER_SECOND, rssBytes: rssKib * 1024, writtenBytes };
}

/** The number in a line such as `VmRSS:     43104 kB`. */
function namedNumber(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text);
  if (found === null) throw new Error(`/proc has no ${name}`);
  return Number(found[1]);
}
