import { describe, expect, it } from 'vitest';
import { lacking } from './needs.js';
import { faults } from './registry.js';
import { runFault } from './run-fault.js';

/** Two test files run at a time, on machines of two slow cores. */
const PATIENCE = 4;

/** A short form takes 10 to 20 seconds alone. */
const ROW_MS = 180_000;

describe('the short form of fault', () => {
  for (const fault of faults) {
    it(`${fault.number}, ${fault.title}`, { timeout: ROW_MS }, async (test) => {
      const why = lacking(fault.needs);
      test.skip(why !== undefined, why);
      const times = fault.shortTimes;
      const options = { times, seed: fault.number, isShort: true, patience: PATIENCE, log: () => {} };
      const result = await runFault(fault, options);
      expect(result, result.why).toMatchObject({ verdict: 'pass', missing: 0, duplicates: 0, altered: 0 });
    });
  }

  it('each has a number of its own, in order', () => {
    const numbers = faults.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  });
});
