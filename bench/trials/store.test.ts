import { describe, expect, it } from 'vitest';
import { trial } from './store.js';

describe('the store trial', () => {
  it('prints its figures and finds everything stored', async () => {
    const figures = await trial.run({ scale: '0.02' });
    expect(figures).toMatchObject({ batch1000Verified: true, batch100Verified: true, live100Verified: true });
    expect(figures.batch1000BytesAtRestPerReading).toBeLessThan(2.2);
    expect(figures.rollupUpsertMicros).toBeGreaterThan(0);
  });
});
