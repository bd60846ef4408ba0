import { Worker } from 'node:worker_threads';
import type { SeedReport, SeedWorkerData } from './seed-worker.js';

/**
 * Runs seeds in worker threads, whichever is free. `report` hears of them in order of seed, so that what it makes of them
 * does not depend on how many threads there are.
 */
export async function runSeeds(
  from: number,
  seeds: number,
  threads: number,
  data: SeedWorkerData,
  report: (report: SeedReport) => void,
): Promise<void> {
  const waiting = new Map<number, SeedReport>();
  let next = from;
  let heard = from;
  const end = from + seeds;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./seed-worker.js', import.meta.url), { workerData: data });
      const give = () => {
        if (next < end) worker.postMessage(next++);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('error', reject);
      worker.on('message', (done: SeedReport) => {
        waiting.set(done.result.seed, done);
        for (let due = waiting.get(heard); due !== undefined; due = waiting.get(heard)) {
          waiting.delete(heard++);
          report(due);
        }
        give();
      });
      give();
    });
  await Promise.all(Array.from({ length: Math.min(threads, seeds) }, work));
}
