import { runBufferModel } from '@tributary/agent/buffer/buffer-model';
import { type Fault, NOTHING } from './fault.js';

/** Sequences between two words to whoever watches. */
const SLICE = 5_000;

/** Each repetition is one random sequence of commands, on a buffer of its own. */
export const bufferModel: Fault = {
  number: 45,
  title: 'model-based buffer',
  times: 100_000,
  shortTimes: 100,
  run: async ({ times, seed, log }) => {
    const counts = { ...NOTHING };
    const problems: string[] = [];
    let thinned = 0;
    let diskFailures = 0;
    for (let from = 0; from < times && problems.length === 0; from += SLICE) {
      const run = runBufferModel(Math.min(SLICE, times - from), seed + from);
      counts.produced += run.readingsProduced;
      counts.stored += run.readingsKept;
      counts.declared += run.readingsDeclared;
      thinned += run.readingsThinned;
      diskFailures += run.diskFailures;
      if (run.why !== undefined) problems.push(run.why);
      log(`${from + run.sequences} sequences`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { ...counts, problems, figures: `${thinned} readings thinned, ${diskFailures} disk failures` };
  },
};
