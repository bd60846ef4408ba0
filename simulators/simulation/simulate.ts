import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { PLANTED_BUGS } from './planted-bugs.js';
import { runSeeds } from './run-seeds.js';
import type { SeedReport } from './seed-worker.js';
import { commandOf, relevantLines, type SeedPart } from './shrink.js';

/** Every so many seeds one runs again, to see that it is the same, and once more with right clocks, for I6. */
const TWIN_EVERY = 50;

/** Enough to see what led to a failure, in a terminal. */
const LINES_MAX = 80;

const USAGE = `Runs agents and collectors through seeded faults in simulated time, and checks that no reading is lost or doubled.

  --seeds COUNT      how many seeds to run (50)
  --from SEED        the first one (1)
  --minutes MINUTES  simulated time with faults of each seed (60)
  --agents LIST      only these agents of the seed, such as 1,3
  --faults LIST      only these faults of the seed's plan, such as 4,17, or none
  --bug NAME         with a planted mistake that must be found: ${Object.keys(PLANTED_BUGS).join(', ')}
  --no-shrink        a failure is not made smaller
  --threads COUNT    (one for each processor)
  --json             one object as the last line
`;

const texts = parsed();
if (texts.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const seeds = numberOf('seeds', texts.seeds, isNatural, 'a whole number');
const from = numberOf('from', texts.from, isNatural, 'a whole number');
const minutes = numberOf('minutes', texts.minutes, isPositive, 'a number above 0');
const threads = numberOf('threads', texts.threads, (value) => isNatural(value) && value > 0, 'a whole number above 0');
const { bug } = texts;
if (bug !== undefined && PLANTED_BUGS[bug] === undefined) leave(`--bug ${bug}: there is none of this name`);
const part: SeedPart = { durationMs: Math.round(minutes * 60_000) };
if (texts.agents !== undefined) part.agents = listOf('agents', texts.agents);
if (texts.faults !== undefined) part.faults = texts.faults === 'none' ? [] : listOf('faults', texts.faults);

const totals = {
  failures: 0,
  steps: 0,
  readings: 0,
  destroyed: 0,
  stored: 0,
  declared: 0,
  duplicates: 0,
  faults: 0,
  outages: 0,
  simulatedMs: 0,
};
let faultsLeast = Number.POSITIVE_INFINITY;
const startedMs = performance.now();
const isPart = part.agents !== undefined || part.faults !== undefined;
const data = { part, bug, twinEvery: isPart ? 0 : TWIN_EVERY, isShrunk: !texts['no-shrink'] };
await runSeeds(from, seeds, threads, data, report);

const seconds = (performance.now() - startedMs) / 1000;
const simulatedHours = Math.round(totals.simulatedMs / 36_000) / 100;
const lastLine = texts.json
  ? JSON.stringify({
      seeds,
      failures: totals.failures,
      steps: totals.steps,
      readings: totals.readings,
      seconds: Math.round(seconds * 100) / 100,
      stored: totals.stored,
      declared: totals.declared,
      destroyed: totals.destroyed,
      duplicates: totals.duplicates,
      faults: totals.faults,
      faultsLeast: seeds > 0 ? faultsLeast : 0,
      outages: totals.outages,
      simulatedHours,
    })
  : `${seeds} seeds, ${totals.failures} failures: ${totals.faults} faults (at least ${faultsLeast} a seed) in ` +
    `${simulatedHours} simulated hours, ${totals.readings} readings produced, ${totals.stored} of them stored, ` +
    `${totals.declared} declared, and ${totals.destroyed} gone with the only disk that had them or their declaration; ` +
    `${totals.duplicates} duplicate items dropped, ${totals.steps} steps in ${seconds.toFixed(1)} s`;
process.stdout.write(`${lastLine}\n`);
process.exitCode = totals.failures > 0 ? 1 : 0;

function report({ result, shrunk }: SeedReport): void {
  totals.steps += result.steps;
  totals.readings += result.readings;
  totals.destroyed += result.destroyed;
  totals.stored += result.stored;
  totals.declared += result.declared;
  totals.duplicates += result.duplicates;
  totals.faults += result.faults;
  totals.outages += result.outages;
  totals.simulatedMs += result.simulatedMs;
  faultsLeast = Math.min(faultsLeast, result.faults);
  if (result.failure === undefined) return;
  totals.failures++;
  const { seed, failure } = result;
  const lines = [`seed ${seed}: ${failure.invariant} is broken: ${failure.detail}`];
  const shown = shrunk?.failure ?? failure;
  if (shrunk !== undefined) {
    lines.push(
      `${result.steps} steps with ${result.faults} faults; after ${shrunk.runs} runs ${shrunk.steps} steps with ` +
        `${shrunk.part.faults?.length ?? result.faultsPlanned}: ${shown.detail}`,
    );
  }
  lines.push('what happened last (simulated seconds):');
  for (const line of relevantLines(shown, LINES_MAX)) lines.push(`  ${line}`);
  lines.push(`again: ${commandOf(seed, shrunk?.part ?? part, bug)}`);
  process.stderr.write(`${lines.join('\n')}\n`);
}

function parsed() {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: 'string', default: '50' },
        from: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '60' },
        agents: { type: 'string' },
        faults: { type: 'string' },
        bug: { type: 'string' },
        threads: { type: 'string', default: String(availableParallelism()) },
        'no-shrink': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    return leave(error instanceof Error ? error.message : String(error));
  }
}

/** Says what is wrong with the command line, and how it is right. */
function leave(problem: string): never {
  process.stderr.write(`${problem}\n\n${USAGE}`);
  process.exit(2);
}

function numberOf(name: string, text: string, isRight: (value: number) => boolean, needed: string): number {
  const value = Number(text);
  return text !== '' && isRight(value) ? value : leave(`--${name} ${text}: ${needed} is needed`);
}

function listOf(name: string, text: string): number[] {
  return text.split(',').map((each) => numberOf(name, each, isNatural, 'a list of whole numbers'));
}

function isNatural(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isPositive(value: number): boolean {
  return Number.isFinite(value) && value > 0;
}
