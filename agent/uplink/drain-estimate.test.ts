import { describe, expect, it } from 'vitest';
import { DrainEstimate } from './drain-estimate.js';

const counts = (waiting: number, produced: number, given = 0, epoch = 1) => ({
  epoch: new Uint8Array(16).fill(epoch),
  readingsWaiting: waiting,
  readingsProduced: produced,
  readingsEvicted: given,
  readingsThinned: 0,
});

describe('the estimate of a draining backlog', () => {
  it('is what was acknowledged minus what was produced, over the last minute', () => {
    const estimate = new DrainEstimate();
    // Ten a second come, 110 a second go; before, 10 a second more came than went.
    for (let s = 0; s < 100; s++) estimate.sample(counts(100_000 + 10 * s, 10 * s), s * 1000);
    for (let s = 100; s < 200; s++) estimate.sample(counts(101_000 - 100 * (s - 100), 10 * s), s * 1000);
    const forecast = estimate.forecast(counts(91_000, 2000), 200_000);
    expect(forecast.trend).toBe('draining');
    expect(forecast.readingsPerSecond).toBeCloseTo(100, 0);
    expect(forecast.etaSeconds).toBeCloseTo(910, -1);
  });

  it('grows when more comes than goes, and while nobody takes anything', () => {
    const estimate = new DrainEstimate();
    estimate.sample(counts(100_000, 100_000), 0);
    const forecast = estimate.forecast(counts(136_000, 136_000), 3_600_000);
    expect(forecast).toEqual({ trend: 'growing', readingsPerSecond: -10, etaSeconds: undefined });
  });

  it('takes nothing that was evicted or thinned for progress', () => {
    const estimate = new DrainEstimate();
    estimate.sample(counts(100_000, 100_000), 0);
    expect(estimate.forecast(counts(95_000, 100_000, 5000), 10_000).trend).toBe('growing');
    expect(estimate.forecast(counts(80_000, 100_000, 5000), 20_000)).toMatchObject({
      trend: 'draining',
      readingsPerSecond: 750,
    });
  });

  it('is none while no more waits than half a minute brings', () => {
    const estimate = new DrainEstimate();
    estimate.sample(counts(50, 0), 0);
    expect(estimate.forecast(counts(55, 600), 60_000)).toMatchObject({ trend: 'current', etaSeconds: 0 });
    expect(estimate.forecast(counts(0, 600), 60_500)).toMatchObject({ trend: 'current', etaSeconds: 0 });
  });

  it('is not known at once, nor after sequences have begun anew', () => {
    const estimate = new DrainEstimate();
    expect(estimate.forecast(counts(1000, 1000), 0).trend).toBe('unknown');
    expect(estimate.forecast(counts(1000, 1000), 4999).trend).toBe('unknown');
    expect(estimate.forecast(counts(1000, 1000), 6000).trend).toBe('growing');
    expect(estimate.forecast(counts(1000, 5, 0, 2), 7000).trend).toBe('unknown');
  });

  it('keeps a bounded number of samples, whatever is counted how often', () => {
    const estimate = new DrainEstimate();
    for (let ms = 0; ms < 600_000; ms += 10) estimate.sample(counts(1_000_000 - ms, 0), ms);
    // The oldest is from a minute ago: the rate is of that minute alone.
    for (let ms = 600_000; ms < 670_000; ms += 10) estimate.sample(counts(400_000, 0), ms);
    expect(estimate.forecast(counts(400_000, 0), 670_000).readingsPerSecond).toBeCloseTo(0);
  });
});
