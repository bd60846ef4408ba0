import { readdirSync, readFileSync } from 'node:fs';

/** Resident memory of a process, in bytes; as the kernel counts it. Linux only. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  if (found === null) throw new Error(`process ${pid} has no resident memory; has it ended?`);
  return Number(found[1]) * 1024;
}

/** Open descriptors of a process. Linux only. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
