import { describe, expect, it } from 'vitest';
import { trial } from './ingest.js';

describe('the ingest trial', () => {
  it('prints its figures and finds everything stored', async () => {
    const figures = await trial.run({ batch: '100', readings: '16000' });
    expect(Object.keys(figures)).toEqual([
      'readings',
      'batch',
      'rules',
      'readingsPerCoreSecond',
      'batchesPerCoreSecond',
      'bytesAtRestPerReading',
      'rollupBytesPerReading',
      'verified',
    ]);
    expect(figures).toMatchObject({ readings: 16_000, batch: 100, rules: 1, verified: true });
    expect(figures.rollupBytesPerReading).toBeGreaterThan(0);
  });
});
