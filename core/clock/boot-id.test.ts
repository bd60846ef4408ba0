import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootId } from './boot-id.js';

describe('the id of this boot', () => {
  it.skipIf(!existsSync('/proc/sys/kernel/random/boot_id'))('is the 16 bytes that the kernel gives', () => {
    expect(bootId()).toHaveLength(16);
    expect(bootId()).toEqual(bootId());
  });

  it('is random, and the same throughout the process, where the kernel gives none', () => {
    const id = bootId('/nonexistent');
    expect(id).toHaveLength(16);
    expect(bootId('/dev/null')).toEqual(id);
  });
});
