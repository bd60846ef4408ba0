import { parentPort, workerData } from 'node:worker_threads';
import { PLANTED_BUGS } from './planted-bugs.js';
import { type RunResult, runSeed } from './run-seed.js';
import { type SeedPart, type Shrunk, shrink } from './shrink.js';

export interface SeedWorkerData {
  part: SeedPart;
  bug: string | undefined;
  /** Every so many seeds one runs again, to see that it is the same, and once more with right clocks, for I6; 0: none. */
  twinEvery: number;
  /** Whether failures are made smaller. */
  isShrunk: boolean;
}

export interface SeedReport {
  result: RunResult;
  shrunk: Shrunk | undefined;
}

const { part, bug, twinEvery, isShrunk } = workerData as SeedWorkerData;
const options = { ...part, ...(bug === undefined ? {} : PLANTED_BUGS[bug].options) };
const port = parentPort!;

port.on('message', (seed: number) => {
  void report(seed).then((done) => port.postMessage(done));
});

async function report(seed: number): Promise<SeedReport> {
  const result = await runSeed(seed, options);
  if (result.failure !== undefined) {
    const isPart = part.agents !== undefined || part.faults !== undefined;
    return { result, shrunk: isShrunk && !isPart ? await shrink(result, options) : undefined };
  }
  const twinFailure = twinEvery > 0 && seed % twinEvery === 0 ? await twins(result) : undefined;
  const found = twinFailure === undefined ? result : { ...result, failure: twinFailure };
  return { result: found, shrunk: undefined };
}

/** Two runs of one seed must be the same, and what is stored must not depend on the devices' wall clocks. */
async function twins(first: RunResult): Promise<RunResult['failure']> {
  const failure = (invariant: string, detail: string) => ({ invariant, detail, concerns: {}, atMs: 0, history: [] });
  const again = await runSeed(first.seed, options);
  if (again.traceHash !== first.traceHash) return failure('determinism', 'two runs of this seed differ');
  const steady = await runSeed(first.seed, { ...options, areClocksSteady: true });
  if (steady.identityHash === first.identityHash) return undefined;
  return failure('I6', 'with other wall clocks other items are stored');
}
