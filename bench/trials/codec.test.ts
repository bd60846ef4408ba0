import { expect, it } from 'vitest';
import { trial } from './codec.js';

it('encodes and decodes every kind of values, and says how fast', async () => {
  const figures = await trial.run({ seconds: '0.05' });
  const speeds = Object.entries(figures).filter(([key]) => key.endsWith('PerCoreSecond'));
  expect(speeds.length).toBeGreaterThanOrEqual(2);
  for (const [key, speed] of speeds) expect(speed, key).toBeGreaterThan(0);
});
