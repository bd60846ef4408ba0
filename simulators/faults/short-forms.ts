import { describe, expect, it } from 'vitest';
import type { Fault } from './fault.js';
import { lacking } from './needs.js';
import { runFault } from './run-fault.js';

/** Two test files run at a time, on machines of two slow cores. */
const PATIENCE = 4;

/** A short form takes 10 to 20 seconds alone. */
const ROW_MS = 180_000;

/** The tests of a part of the fault list: each row in its short form. Most of their time is waiting, so parts run side by side. */
export function testShortForms(faults: readonly Fault[]): void {
  describe('the short form of fault', () => {
    for (const fault of faults) {
      it(`${fault.number}, ${fault.title}`, { timeout: ROW_MS }, async (test) => {
        const why = lacking(fault.needs);
        // What a machine lacks is told beside the test.
        test.skip(why !== undefined, why);
        const times = fault.shortTimes;
        const options = { times, seed: fault.number, isShort: true, patience: PATIENCE, log: () => {} };
        const result = await runFault(fault, options);
        expect(result, result.why).toMatchObject({ verdict: 'pass', missing: 0, duplicates: 0, altered: 0 });
      });
    }
  });
}
