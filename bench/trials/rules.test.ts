import { expect, it } from 'vitest';
import { trial } from './rules.js';

it('evaluates rules over readings, and says how fast', async () => {
  const figures = await trial.run({ seconds: '0.1', series: '20' });
  const speeds = Object.entries(figures).filter(([key]) => /evaluationsPerCoreSecond/i.test(key));
  expect(speeds).toHaveLength(3);
  for (const [key, speed] of speeds) expect(speed, key).toBeGreaterThan(0);
  // Rules that nothing ever satisfies would measure the loop and not the rules.
  expect(figures.transitionsPerMillionEvaluations).toBeGreaterThan(0);
  expect(figures.mixedTransitionsPerMillionEvaluations).toBeGreaterThan(0);
});
