import { DURATION_MS, type RunOptions, type RunResult, runSeed, type SeedFailure } from './run-seed.js';

/** What of a seed is run: the part of {@link RunOptions} that a command line can say. */
export interface SeedPart {
  durationMs: number;
  /** Counted from 1; undefined for all. */
  agents?: readonly number[];
  /** Of the seed's plan, counted from 0; undefined for all. */
  faults?: readonly number[];
}

export interface Shrunk {
  part: SeedPart;
  failure: SeedFailure;
  /** Events until the failure. */
  steps: number;
  /** Runs that it took. */
  runs: number;
}

/** Runs that are spent on one failure: at half a second each this is under a minute. */
const RUNS_MAX = 150;

/** Enough to hold everything that happens in an hour. */
const ALL_LINES = 1_000_000;

/**
 * Looks for the shortest history that breaks the same invariant: less time, fewer agents, fewer faults, until nothing more
 * can be left out or the runs are used up. Deterministic.
 */
export async function shrink(found: RunResult, options: RunOptions = {}): Promise<Shrunk> {
  if (found.failure === undefined) throw new Error(`seed ${found.seed} has not failed`);
  const { seed } = found;
  const { invariant } = found.failure;
  let runs = 0;
  let best: Shrunk = {
    part: { durationMs: options.durationMs ?? DURATION_MS },
    failure: found.failure,
    steps: found.steps,
    runs,
  };
  const fails = async (part: SeedPart): Promise<boolean> => {
    if (runs >= RUNS_MAX) return false;
    runs++;
    const { failure, steps } = await runSeed(seed, { ...options, ...part });
    if (failure?.invariant !== invariant) return false;
    best = { part, failure, steps, runs };
    return true;
  };

  // What came after the failure did not cause it.
  const untilMs = Math.min(best.part.durationMs, Math.ceil(best.failure.atMs / 1000) * 1000);
  await fails({ ...best.part, durationMs: untilMs });
  let agents = Array.from({ length: found.agents }, (_, at) => at + 1);
  for (const agent of [...agents]) {
    const left = agents.filter((each) => each !== agent);
    if (left.length > 0 && (await fails({ ...best.part, agents: left }))) agents = left;
  }
  let faults = Array.from({ length: found.faultsPlanned }, (_, at) => at);
  for (let size = Math.ceil(faults.length / 2); size >= 1 && runs < RUNS_MAX; size = Math.floor(size / 2)) {
    for (let from = 0; from < faults.length; ) {
      const left = [...faults.slice(0, from), ...faults.slice(from + size)];
      if (await fails({ ...best.part, faults: left })) faults = left;
      else from += size;
    }
  }
  for (let shorterMs = best.part.durationMs / 2; shorterMs >= 1000 && runs < RUNS_MAX; ) {
    const durationMs = Math.round((best.part.durationMs - shorterMs) / 1000) * 1000;
    if (durationMs < 1000 || !(await fails({ ...best.part, durationMs }))) shorterMs /= 2;
  }
  const { part } = best;
  const { failure, steps } = await runSeed(seed, { ...options, ...part, historyLines: ALL_LINES });
  return { part, failure: failure ?? best.failure, steps, runs };
}

/** The command that runs exactly this again. */
export function commandOf(seed: number, { durationMs, agents, faults }: SeedPart, bug: string | undefined): string {
  const words = ['npm run simulate --', `--from ${seed}`, '--seeds 1', `--minutes ${durationMs / 60_000}`];
  if (agents !== undefined) words.push(`--agents ${agents.join(',')}`);
  if (faults !== undefined) words.push(`--faults ${faults.length === 0 ? 'none' : faults.join(',')}`);
  if (bug !== undefined) words.push(`--bug ${bug}`);
  return words.join(' ');
}

/** The newest lines that concern the device of a failure: what its machines, the collectors for them, and faults did. */
export function relevantLines({ concerns: { device }, history }: SeedFailure, linesMax: number): readonly string[] {
  if (device === undefined) return history.slice(-linesMax);
  const other = /\bagent-\d+/;
  const isRelevant = (line: string) => line.includes(device) || !other.test(line);
  return history.filter(isRelevant).slice(-linesMax);
}
