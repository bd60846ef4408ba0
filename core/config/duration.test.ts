import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDurationMs, parseDurationMs } from './duration.js';

describe('a duration', () => {
  it('is a whole number with a unit', () => {
    expect(['250ms', '30s', '5m', '24h', '7d'].map(parseDurationMs)).toEqual([
      250, 30_000, 300_000, 86_400_000, 604_800_000,
    ]);
  });

  it.each(['', '30', '1.5s', '-1s', '1 s', '1w', 's', '1e3s', '0x1s', '1s ', '9999999999999ms'])(
    'is not %j',
    (text) => {
      expect(parseDurationMs(text)).toBeUndefined();
    },
  );

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.nat(), (ms) => parseDurationMs(formatDurationMs(ms)) === ms),
      { seed: 1 },
    );
  });
});
