import { describe, expect, it } from 'vitest';
import { PLANTED_BUGS } from './planted-bugs.js';
import { type RunResult, runSeed } from './run-seed.js';

/** Simulated time of a seed: some ten outages. */
const durationMs = 4 * 60_000;

describe('the simulation', () => {
  it('loses and doubles nothing in thirty seeds of outages, crashes and full buffers', async () => {
    const totals = { outages: 0, crashes: 0, declared: 0, duplicates: 0, readings: 0 };
    for (let seed = 1; seed <= 30; seed++) {
      const result = await runSeed(seed, { durationMs });
      expect(result.failure, `seed ${seed}`).toBeUndefined();
      for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += result[name];
    }
    // The faults that the promise is about did happen.
    expect(totals.outages).toBeGreaterThan(100);
    expect(totals.crashes).toBeGreaterThan(30);
    expect(totals.declared).toBeGreaterThan(100);
    expect(totals.duplicates).toBeGreaterThan(10);
    expect(totals.readings).toBeGreaterThan(100_000);
  });

  it('runs a seed twice in exactly the same way, and another seed in another', async () => {
    const hashes = [];
    for (const seed of [7, 7, 8]) hashes.push((await runSeed(seed, { durationMs })).traceHash);
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });

  it('stores the same items in the same order whatever the wall clocks of the devices say', async () => {
    for (const seed of [3, 4, 5]) {
      const stepping = await runSeed(seed, { durationMs });
      const steady = await runSeed(seed, { durationMs, areClocksSteady: true });
      expect(steady.identityHash).toBe(stepping.identityHash);
      expect(steady.failure).toBeUndefined();
    }
  });
});

describe('the checker finds', () => {
  for (const [bug, options] of Object.entries(PLANTED_BUGS)) {
    it(`${bug}, in the step where it shows`, async () => {
      const failure = await firstFailure({ ...options, durationMs });
      expect(failure?.failure?.invariant).toBe('I1');
      expect(failure?.failure?.history.length).toBeGreaterThan(10);
    });

    it(`${bug}, by the balance at the end alone`, async () => {
      const failure = await firstFailure({ ...options, durationMs, isOnlyEndChecked: true });
      expect(failure?.failure?.invariant).toMatch(/^I[12]$/);
    });
  }
});

async function firstFailure(options: Parameters<typeof runSeed>[1]): Promise<RunResult | undefined> {
  for (let seed = 1; seed <= 50; seed++) {
    const result = await runSeed(seed, options);
    if (result.failure !== undefined) return result;
  }
  return undefined;
}
