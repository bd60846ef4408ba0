import { describe, expect, it } from 'vitest';
import { trial } from './outage.js';

describe('the outage trial', () => {
  it('lasts longer with thinning, and keeps up with a thousand readings a second', async () => {
    const figures = await trial.run({ quotaKiB: '256' });
    expect(figures.tenAt1HzDaysPerGiBThinned).toBeGreaterThan(3 * Number(figures.tenAt1HzDaysPerGiB));
    expect(figures.oneAt1kHzDaysPerGiBThinned).toBeGreaterThan(20 * Number(figures.oneAt1kHzDaysPerGiB));
    expect(figures.oneAt1kHzReadingsPerSecondWhenFull).toBeGreaterThan(1000);
  });
});
