import { describe, expect, it } from 'vitest';
import { trial } from './latency.js';

describe('the latency trial', () => {
  it('sees each crossing come back as an alert', async () => {
    const figures = await trial.run({ age: '50ms', n: '5' });
    expect(Object.keys(figures)).toEqual(['p50Ms', 'p99Ms']);
    expect(figures.p50Ms).toBeGreaterThan(0);
    expect(figures.p99Ms).toBeGreaterThanOrEqual(figures.p50Ms as number);
  });
});
