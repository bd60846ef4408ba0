import { describe, expect, it } from 'vitest';
import { trial } from './agent.js';

describe('the agent trial', () => {
  it('prints its figures', async () => {
    const figures = await trial.run({ rate: '1000', seconds: '2', starts: '1' });
    expect(Object.keys(figures)).toEqual([
      'rssMb',
      'bareNodeRssMb',
      'cpuPercent',
      'cpuMicrosPerReading',
      'bytesWrittenPerReading',
      'startMs',
      'bareNodeStartMs',
    ]);
    for (const value of Object.values(figures)) expect(value).toBeGreaterThan(0);
  });
});
