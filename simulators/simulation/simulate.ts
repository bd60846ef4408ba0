import { parseArgs } from 'node:util';
import { type RunResult, runSeed } from './run-seed.js';

/** Every so many seeds one runs again, to see that it is the same, and once more with right clocks, for I6. */
const TWIN_EVERY = 25;

const USAGE = `Runs agents and a collector through seeded faults in simulated time, and checks that no reading is lost or doubled.

  --seeds COUNT      how many seeds to run (50)
  --from SEED        the first one (1)
  --minutes MINUTES  simulated time with faults of each seed (30)
  --json             one object as the last line
`;

function parsed() {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: 'string', default: '50' },
        from: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '60' },
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

const isNatural = (value: number) => Number.isSafeInteger(value) && value >= 0;
const isPositive = (value: number) => Number.isFinite(value) && value > 0;

const { json, help, ...texts } = parsed();
if (help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const seeds = numberOf('seeds', texts.seeds, isNatural, 'a whole number');
const from = numberOf('from', texts.from, isNatural, 'a whole number');
const minutes = numberOf('minutes', texts.minutes, isPositive, 'a number above 0');
const durationMs = minutes * 60_000;

const totals = { failures: 0, steps: 0, readings: 0, declared: 0, duplicates: 0, outages: 0, simulatedMs: 0 };
const startedMs = performance.now();

function report(seed: number, failure: NonNullable<RunResult['failure']>): void {
  totals.failures++;
  const { invariant, detail, history } = failure;
  const lines = [
    `seed ${seed}: ${invariant} is broken: ${detail}`,
    'what happened last (simulated seconds):',
    ...history.map((line) => `  ${line}`),
    `again: npm run simulate -- --from ${seed} --seeds 1 --minutes ${minutes}`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** Two runs of one seed must be the same where `what` says so. */
async function runTwins(first: RunResult): Promise<void> {
  const { seed } = first;
  const again = await runSeed(seed, { durationMs });
  if (again.traceHash !== first.traceHash) {
    report(seed, {
      invariant: 'determinism',
      detail: 'two runs of this seed differ',
      concerns: {},
      atMs: 0,
      history: [],
    });
  }
  const steady = await runSeed(seed, { durationMs, areClocksSteady: true });
  if (steady.identityHash !== first.identityHash) {
    report(seed, {
      invariant: 'I6',
      detail: 'with other wall clocks other items are stored',
      concerns: {},
      atMs: 0,
      history: [],
    });
  }
}

for (let seed = from; seed < from + seeds; seed++) {
  const result = await runSeed(seed, { durationMs });
  totals.steps += result.steps;
  totals.readings += result.readings;
  totals.declared += result.declared;
  totals.duplicates += result.duplicates;
  totals.outages += result.outages;
  totals.simulatedMs += result.simulatedMs;
  if (result.failure !== undefined) report(seed, result.failure);
  else if (seed % TWIN_EVERY === 0) await runTwins(result);
}

const seconds = (performance.now() - startedMs) / 1000;
const outagesPerMinute = Math.round((totals.outages / seconds) * 60);
const simulatedHours = Math.round(totals.simulatedMs / 36_000) / 100;
const lastLine = json
  ? JSON.stringify({
      seeds,
      failures: totals.failures,
      steps: totals.steps,
      readings: totals.readings,
      seconds: Math.round(seconds * 100) / 100,
      declared: totals.declared,
      duplicates: totals.duplicates,
      outages: totals.outages,
      outagesPerMinute,
      simulatedHours,
    })
  : `${seeds} seeds, ${totals.failures} failures: ${totals.outages} outages in ${simulatedHours} simulated hours, ` +
    `${totals.readings} readings produced, ${totals.declared} of them declared lost, ` +
    `${totals.duplicates} duplicate items dropped, ${totals.steps} steps in ${seconds.toFixed(1)} s ` +
    `(${outagesPerMinute} outages a minute)`;
process.stdout.write(`${lastLine}\n`);
process.exitCode = totals.failures > 0 ? 1 : 0;
