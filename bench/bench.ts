import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endOnSignals } from '@tributary/simulators/rig/at-exit';
import type { Trial } from './trial.js';

/**
 * `npm run bench -- TRIAL [options] [--json]`: runs a trial in a process of its own, so that no trial sees the heap or the
 * warm caches of another, and prints what it measured. With `--json` the last line is one object.
 */
const trialsFolder = new URL('./trials/', import.meta.url);

function trialNames(): string[] {
  return readdirSync(trialsFolder)
    .filter((name) => name.endsWith('.js') && !name.endsWith('.test.js'))
    .map((name) => name.slice(0, -'.js'.length))
    .sort();
}

function usageText(): string {
  return `usage: npm run bench -- TRIAL [--option value ...] [--json]\ntrials: ${trialNames().join(', ')}`;
}

function usage(problem: string): never {
  console.error(`error: ${problem}\n${usageText()}`);
  process.exit(2);
}

/** `--rows 300 --paced` as `{rows: '300', paced: true}`. */
function parseOptions(args: string[]): Record<string, string | true> {
  const options: Record<string, string | true> = {};
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (!arg.startsWith('--')) usage(`unexpected argument ${JSON.stringify(arg)}`);
    const next = args[i + 1];
    if (next === undefined || next.startsWith('--')) options[arg.slice(2)] = true;
    else {
      options[arg.slice(2)] = next;
      i++;
    }
  }
  return options;
}

async function runHere(name: string, args: string[]): Promise<void> {
  endOnSignals();
  const { trial } = (await import(new URL(`${name}.js`, trialsFolder).href)) as { trial: Trial };
  const options = parseOptions(args);
  const { json, ...rest } = options;
  for (const key of Object.keys(rest)) {
    if (!(key in trial.options)) {
      usage(
        `${name} has no option --${key}; it takes ${
          Object.keys(trial.options)
            .map((one) => `--${one}`)
            .join(', ') || 'none'
        }`,
      );
    }
  }
  const figures = await trial.run(rest);
  if (json === true) console.log(JSON.stringify(figures));
  else for (const [key, value] of Object.entries(figures)) console.log(`${key.padEnd(36)} ${value}`);
}

const [name, ...args] = process.argv.slice(2);
if (name === '--help') {
  console.log(usageText());
  process.exit(0);
}
if (name === undefined || name.startsWith('--')) usage('name a trial');
if (!existsSync(new URL(`${name}.js`, trialsFolder))) usage(`there is no trial ${JSON.stringify(name)}`);
if (process.env.TRIBUTARY_TRIAL === name) {
  try {
    await runHere(name, args);
    process.exit(0);
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : JSON.stringify(error)}`);
    if (process.env.TRIBUTARY_DEBUG) console.error(error);
    process.exit(1);
  }
} else {
  const result = spawnSync(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), name, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, TRIBUTARY_TRIAL: name },
  });
  process.exit(result.status ?? 1);
}
