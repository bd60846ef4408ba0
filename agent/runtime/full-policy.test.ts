import { describe, expect, it } from 'vitest';
import { fullPolicy, seriesProtection } from './full-policy.js';

describe('what a configuration says of a full buffer', () => {
  it('is the quota, the free space and the window', () => {
    const buffer = { path: 'buffer.db', quota: 1 << 20, protect: [], thinning: { window: 60_000 } };
    expect(fullPolicy(buffer)).toEqual({ quotaBytes: 1 << 20, thinningWindowMs: 60_000 });
    expect(fullPolicy({ ...buffer, freeSpace: 5 << 20, thinning: 'off' })).toEqual({
      quotaBytes: 1 << 20,
      freeDiskBytesMin: 5 << 20,
    });
  });

  it('protects the series whose names match', () => {
    const isProtected = seriesProtection(['pressure', 'alarm.*']);
    expect(['pressure', 'alarm.door', 'pressure2', 'alarm'].map((name) => isProtected({ name }))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(seriesProtection([])({ name: 'pressure' })).toBe(false);
  });
});
