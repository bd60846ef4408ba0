import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

let fallback: Uint8Array | undefined;

/**
 * 16 bytes that name this boot of the machine: monotonic times of the same boot are on one line. Linux has it in
 * /proc (random(4)). Where it is missing every process counts as a boot of its own, which is always right.
 */
export function bootId(file = '/proc/sys/kernel/random/boot_id'): Uint8Array {
  try {
    const hex = readFileSync(file, 'latin1').trim().replaceAll('-', '');
    if (/^[0-9a-f]{32}$/i.test(hex)) return new Uint8Array(Buffer.from(hex, 'hex'));
  } catch {
    // Not Linux, or /proc is hidden.
  }
  fallback ??= new Uint8Array(randomBytes(16));
  return fallback;
}
