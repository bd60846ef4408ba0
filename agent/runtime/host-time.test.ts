import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@tributary/core/clock/clock';
import { describe, expect, it } from 'vitest';
import { hostTime } from './host-time.js';

describe('what a machine tells about its clocks', () => {
  it('is when a time service last set them, and how long the machine has been up', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tributary-time-'));
    const files = { synchronized: join(folder, 'synchronized'), uptime: join(folder, 'uptime') };
    const host = hostTime(files);
    expect(host.bootId).toMatch(/^[0-9a-f]{32}$/);
    expect(host.synchronizedAtUs()).toBe(undefined);
    expect(host.sinceBootUs()).toBe(undefined);
    writeFileSync(files.synchronized, '');
    utimesSync(files.synchronized, 1_700_000_000, 1_700_000_000.25);
    writeFileSync(files.uptime, '350735.47 234388.90\n');
    expect(host.synchronizedAtUs()).toBe(1_700_000_000_250_000);
    expect(host.sinceBootUs()).toBe(350_735_470_000);
    writeFileSync(files.uptime, 'not a number');
    expect(host.sinceBootUs()).toBe(undefined);
    rmSync(folder, { recursive: true });
  });

  it('is not less than the monotonic clock of this machine', () => {
    const sinceBootUs = hostTime().sinceBootUs();
    if (sinceBootUs !== undefined) expect(sinceBootUs).toBeGreaterThan(systemClock.monotonicUs() - 1_000_000);
  });
});
