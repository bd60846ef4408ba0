import { damageOf, withCopy } from './buffer-copy.js';

export interface BufferFileStatus {
  path: string;
  /** As a start of the agent would find it, if it came now. */
  opened: string;
  /** Hexadecimal. */
  epoch: string;
  items: number;
  readings: number;
  bytes: number;
  highestSequence: number;
  readingsProduced: number;
  readingsEvicted: number;
  readingsThinned: number;
  itemsQuarantined: number;
  alertCursor: number;
  series: number;
  isSuspect: boolean;
  /** What is wrong with the file itself; the counters above are of what can be carried over. */
  damage?: string;
}

/** What a buffer's own counters say, at the last commit that is on the disk. */
export function statusOfBuffer(path: string): BufferFileStatus {
  return withCopy(path, ({ file, table }) => {
    const state = table.state();
    const damage = damageOf(file);
    return {
      path,
      opened: file.opened,
      epoch: Buffer.from(state?.epoch ?? []).toString('hex'),
      items: state?.itemsStored ?? 0,
      readings: state?.readingsStored ?? 0,
      bytes: state?.bytesStored ?? 0,
      highestSequence: state?.highestSequence ?? 0,
      readingsProduced: state?.readingsProduced ?? 0,
      readingsEvicted: state?.readingsEvicted ?? 0,
      readingsThinned: state?.readingsThinned ?? 0,
      itemsQuarantined: state?.itemsQuarantined ?? 0,
      alertCursor: state?.alertCursor ?? 0,
      series: table.series().length,
      isSuspect: state?.isSuspect ?? false,
      ...(damage === undefined ? {} : { damage }),
    };
  });
}

export function statusText(status: BufferFileStatus): string {
  return Object.entries(status)
    .map(([name, value]) => `${name.padEnd(16)}  ${value}\n`)
    .join('');
}
